"""Rotations inside compiled laws: matrices of 9 numbers by row, quaternions wxyz."""

from __future__ import annotations

import math

import numpy as np

from sims.controllers.compiled import compiled


@compiled
def quaternion_of(R: np.ndarray, quaternion: np.ndarray) -> None:
    """Write the unit quaternion of the rotation matrix `R` (9,); Shepperd's choice of the largest divisor."""
    trace = R[0] + R[4] + R[8]
    if trace > 0.0:
        s = 2.0 * math.sqrt(1.0 + trace)
        w, x, y, z = 0.25 * s, (R[7] - R[5]) / s, (R[2] - R[6]) / s, (R[3] - R[1]) / s
    elif R[0] > R[4] and R[0] > R[8]:
        s = 2.0 * math.sqrt(1.0 + R[0] - R[4] - R[8])
        w, x, y, z = (R[7] - R[5]) / s, 0.25 * s, (R[1] + R[3]) / s, (R[2] + R[6]) / s
    elif R[4] > R[8]:
        s = 2.0 * math.sqrt(1.0 + R[4] - R[0] - R[8])
        w, x, y, z = (R[2] - R[6]) / s, (R[1] + R[3]) / s, 0.25 * s, (R[5] + R[7]) / s
    else:
        s = 2.0 * math.sqrt(1.0 + R[8] - R[0] - R[4])
        w, x, y, z = (R[3] - R[1]) / s, (R[2] + R[6]) / s, (R[5] + R[7]) / s, 0.25 * s
    quaternion[0], quaternion[1], quaternion[2], quaternion[3] = w, x, y, z


@compiled
def rotation_error(current: np.ndarray, target: np.ndarray, error: np.ndarray) -> None:
    """Write the rotation vector (3,) that turns `target` into `current` along the shorter way, in the base frame."""
    w, x, y, z = current[0], current[1], current[2], current[3]
    a, b, c, d = target[0], -target[1], -target[2], -target[3]
    ew = w * a - x * b - y * c - z * d
    ex = w * b + x * a + y * d - z * c
    ey = w * c - x * d + y * a + z * b
    ez = w * d + x * c - y * b + z * a
    if ew < 0.0:
        ew, ex, ey, ez = -ew, -ex, -ey, -ez
    sine = math.sqrt(ex * ex + ey * ey + ez * ez)
    factor = 2.0 * math.atan2(sine, ew) / sine if sine > 1e-10 else 0.0
    error[0], error[1], error[2] = factor * ex, factor * ey, factor * ez


@compiled
def slerp(quaternion: np.ndarray, target: np.ndarray, fraction: float) -> None:
    """Turn `quaternion` by `fraction` of the shorter way to `target`, in place."""
    dot = 0.0
    for i in range(4):
        dot += quaternion[i] * target[i]
    keep, take = 1.0 - fraction, fraction
    if abs(dot) < 1.0 - 1e-12:
        angle = math.acos(abs(dot))
        keep, take = math.sin(keep * angle) / math.sin(angle), math.sin(take * angle) / math.sin(angle)
    if dot < 0.0:
        take = -take
    length = 0.0
    for i in range(4):
        quaternion[i] = keep * quaternion[i] + take * target[i]
        length += quaternion[i] * quaternion[i]
    for i in range(4):
        quaternion[i] /= math.sqrt(length)
