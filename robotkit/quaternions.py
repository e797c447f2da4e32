"""Quaternion arithmetic in plain floats, cheap enough for every control step (a few microseconds).

All quaternions are unit xyzw. `robotkit.spatial` offers these functions too, beside the ones that need scipy; the tests
compare them with scipy's `Rotation`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Floats = Sequence[float]


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Hamilton product: the rotation `b`, then `a` (both in the base frame). Shapes (4,), (4,) -> (4,)."""
    ax, ay, az, aw = a.tolist()
    bx, by, bz, bw = b.tolist()
    return np.array(
        (
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        )
    )


def conjugate(quaternion: np.ndarray) -> np.ndarray:
    """The opposite rotation. Shape (4,) -> (4,)."""
    x, y, z, w = quaternion.tolist()
    return np.array((-x, -y, -z, w))


def rotate(quaternion: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Rotate a vector: v + 2 w (u x v) + 2 u x (u x v). Shapes (4,), (3,) -> (3,)."""
    x, y, z, w = quaternion.tolist()
    vx, vy, vz = vector.tolist()
    tx, ty, tz = 2 * (y * vz - z * vy), 2 * (z * vx - x * vz), 2 * (x * vy - y * vx)
    return np.array((vx + w * tx + y * tz - z * ty, vy + w * ty + z * tx - x * tz, vz + w * tz + x * ty - y * tx))


def from_rotation_vector(rotation_vector_rad: np.ndarray) -> np.ndarray:
    """The exponential map: axis times angle, shape (3,), to a unit quaternion, shape (4,)."""
    x, y, z = rotation_vector_rad.tolist()
    angle_rad = math.sqrt(x * x + y * y + z * z)
    # Below this angle sin(a/2)/a equals its series to the last bit, and the division would lose it.
    scale = math.sin(angle_rad / 2) / angle_rad if angle_rad > 1e-6 else 0.5 - angle_rad * angle_rad / 48
    return np.array((x * scale, y * scale, z * scale, math.cos(angle_rad / 2)))


def to_rotation_vector(quaternion: np.ndarray) -> np.ndarray:
    """The logarithm: a unit quaternion, shape (4,), to axis times angle with angle in [0, pi], shape (3,)."""
    return np.array(_log(*quaternion.tolist()))


def to_euler_xyz(quaternion: np.ndarray) -> np.ndarray:
    """Roll, pitch, yaw about the fixed axes x, y, z, shape (3,) rad; where pitch meets +-pi/2, yaw is set to 0."""
    x, y, z, w = quaternion.tolist()
    r00, r10, r20 = 1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)
    cos_pitch = math.hypot(r00, r10)
    pitch_rad = math.atan2(-r20, cos_pitch)
    if cos_pitch < 1e-9:
        return np.array((math.atan2(-2 * (y * z - x * w), 1 - 2 * (x * x + z * z)), pitch_rad, 0.0))
    roll_rad = math.atan2(2 * (y * z + x * w), 1 - 2 * (x * x + y * y))
    return np.array((roll_rad, pitch_rad, math.atan2(r10, r00)))


def rotation_vector_between(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The rotation vector in the base frame that turns `start` into `end`. Shapes (4,), (4,) -> (3,) rad."""
    return np.array(rotation_vector_floats(start.tolist(), end.tolist()))


def rotation_vector_floats(start: Floats, end: Floats) -> tuple[float, float, float]:
    """`rotation_vector_between` for four floats each."""
    ax, ay, az, aw = end
    bx, by, bz, bw = start
    return _log(
        ax * bw - aw * bx - ay * bz + az * by,
        ay * bw - aw * by + ax * bz - az * bx,
        az * bw - aw * bz - ax * by + ay * bx,
        aw * bw + ax * bx + ay * by + az * bz,
    )


def angle_between(a: Floats, b: Floats) -> float:
    """Angle in rad, in [0, pi], between two orientations given as four floats each (xyzw)."""
    return math.hypot(*rotation_vector_floats(a, b))


def _log(x: float, y: float, z: float, w: float) -> tuple[float, float, float]:
    sine = math.sqrt(x * x + y * y + z * z)
    # Near the identity 2 atan2(sine, w) / sine is 2 / w, without the division of two zeros.
    scale = 2.0 / w if sine < 1e-9 else 2.0 * math.atan2(sine if w >= 0.0 else -sine, abs(w)) / sine
    return x * scale, y * scale, z * scale
