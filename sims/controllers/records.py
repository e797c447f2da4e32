"""The data of the laws: one-element structured arrays, all float64, SI units, quaternions wxyz."""

from __future__ import annotations

import numpy as np

JOINTS = 7

ARM = np.dtype(
    [
        ("q", "f8", (JOINTS,)),
        ("dq", "f8", (JOINTS,)),
        ("jacobian", "f8", (6, JOINTS)),
        ("inertia", "f8", (JOINTS, JOINTS)),
        ("bias", "f8", (JOINTS,)),
        ("position", "f8", (3,)),
        ("rotation", "f8", (9,)),
    ]
)
"""The measurements of the arm that a law sees; the Jacobian is the tool point's in the base frame, the bias gravity and
Coriolis."""

TARGET = np.dtype(
    [("law", "i8"), ("active", "i8"), ("position", "f8", (3,)), ("quaternion", "f8", (4,)), ("joints", "f8", (JOINTS,))]
)
"""The target: where the arm should go, which law takes it there (a number below), and which one ran last (-1 for
none)."""

OPERATIONAL_SPACE, CARTESIAN_IMPEDANCE, JOINT_IMPEDANCE = 0, 1, 2

WORK = np.dtype(
    [
        ("torque", "f8", (JOINTS,)),
        ("wrench", "f8", (6,)),
        ("error", "f8", (6,)),
        ("null", "f8", (JOINTS,)),
        ("scratch", "f8", (JOINTS,)),
        ("quaternion", "f8", (4,)),
        ("lower", "f8", (JOINTS, JOINTS)),
        ("projected", "f8", (JOINTS, 6)),
        ("task", "f8", (6, 6)),
        ("task_lower", "f8", (6, 6)),
    ]
)
"""Scratch space of one arm, and in `torque` the answer."""


def record(dtype: np.dtype) -> np.ndarray:
    """A zeroed array with one record of `dtype`, the form in which compiled functions take it."""
    return np.zeros(1, dtype)
