"""The joint impedance law: springs to a reference that runs to its target at limited speed."""

from __future__ import annotations

import numpy as np

from sims.controllers.compiled import compiled
from sims.controllers.records import JOINTS, record

JOINT = np.dtype([("reference", "f8", (JOINTS,)), ("max_step", "f8", (JOINTS,)), ("kp", "f8"), ("kd", "f8")])
"""Reference in rad, its largest step in one period in rad, gains in 1/s² and 1/s."""

BANDWIDTH_RAD_S = 40.0
"""Bandwidth of the critically damped springs; with it a joint that brakes from 2 rad/s is below 0.01 rad/s after 0.2
s."""


def joint_record(period_s: float, velocity_max_rad_s: np.ndarray) -> np.ndarray:
    """Parameters for a control period: critically damped."""
    law = record(JOINT)
    law["max_step"] = period_s * velocity_max_rad_s
    law["kp"], law["kd"] = BANDWIDTH_RAD_S**2, 2.0 * BANDWIDTH_RAD_S
    return law


@compiled
def start_joint(arm: np.ndarray, law: np.ndarray) -> None:
    """Take as reference where the joints come to rest on the shortest way without turning back.

    With x the distance to the reference, a critically damped spring of bandwidth w that starts at x = -v/w obeys
    v(t) = v exp(-w t): the joint brakes at once and never swings back. At rest this is the measured configuration.
    """
    for i in range(JOINTS):
        law[0].reference[i] = arm[0].q[i] + arm[0].dq[i] / BANDWIDTH_RAD_S


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
