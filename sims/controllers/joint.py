"""The joint impedance law: springs to a reference that runs to its target at limited speed."""

from __future__ import annotations

import numpy as np

from sims.controllers.compiled import compiled
from sims.controllers.records import JOINTS, record

JOINT = np.dtype([("reference", "f8", (JOINTS,)), ("max_step", "f8", (JOINTS,)), ("kp", "f8"), ("kd", "f8")])
"""Reference in rad, its largest step in one period in rad, gains in 1/s² and 1/s."""

_KP, _KD = 400.0, 40.0


def joint_record(period_s: float, velocity_max_rad_s: np.ndarray) -> np.ndarray:
    """Parameters for a control period: critically damped, 20 rad/s."""
    law = record(JOINT)
    law["max_step"], law["kp"], law["kd"] = period_s * velocity_max_rad_s, _KP, _KD
    return law


@compiled
def start_joint(arm: np.ndarray, law: np.ndarray) -> None:
    """Take the measured configuration as reference, so that the law starts without a jerk."""
    for i in range(JOINTS):
        law[0].reference[i] = arm[0].q[i]


@compiled
def joint_torque(arm: np.ndarray, target: np.ndarray, law: np.ndarray, work: np.ndarray) -> None:
    """Write tau = M (kp (reference - q) - kd dq) + bias into `work.torque`, and move the reference on.

    The joint springs are scaled by the inertia matrix, so that every joint answers alike.
    """
    a, t, p, w = arm[0], target[0], law[0], work[0]
    for i in range(JOINTS):
        step = min(max(t.joints[i] - p.reference[i], -p.max_step[i]), p.max_step[i])
        p.reference[i] += step
        w.scratch[i] = p.kp * (p.reference[i] - a.q[i]) - p.kd * a.dq[i]
    for i in range(JOINTS):
        torque = a.bias[i]
        for j in range(JOINTS):
            torque += a.inertia[i, j] * w.scratch[j]
        w.torque[i] = torque
