"""SERL's operational-space law: a PD acceleration at the tool, mapped through the task-space inertia."""

from __future__ import annotations

import math

import numpy as np

from sims.controllers.compiled import compiled
from sims.controllers.linear import cholesky, solve_lower, solve_lower_transposed, truncated_pseudo_inverse
from sims.controllers.records import JOINTS, record
from sims.controllers.rotation import quaternion_of, rotation_error

OPSPACE = np.dtype(
    [
        ("kp", "f8", (6,)),
        ("kd", "f8", (6,)),
        ("max_linear_acceleration", "f8"),
        ("max_angular_acceleration", "f8"),
        ("null_kp", "f8"),
        ("null_kd", "f8"),
        ("gravity", "f8"),
    ]
)
"""Parameters: gains in 1/s² and 1/s, limits of the proportional part (inf is none), `gravity` 1 or 0."""

SINGULAR_DETERMINANT = 1e-2
"""Below it the task inertia comes from a pseudo-inverse with the same number as cut-off, as in SERL's code."""


def opspace_params(
    position_gain: np.ndarray | float = 200.0,
    orientation_gain: np.ndarray | float = 200.0,
    damping_ratio: float = 1.0,
    null_gain: float = 0.5,
    max_linear_acceleration: float = math.inf,
    max_angular_acceleration: float = math.inf,
    compensate_gravity: bool = True,
) -> np.ndarray:
    """A record of parameters; the defaults are SERL's. Gains are one number or one for each axis, in 1/s²."""
    params = record(OPSPACE)
    params["kp"][0, :3], params["kp"][0, 3:] = position_gain, orientation_gain
    params["kd"] = 2.0 * damping_ratio * np.sqrt(params["kp"])
    params["max_linear_acceleration"] = max_linear_acceleration
    params["max_angular_acceleration"] = max_angular_acceleration
    params["null_kp"], params["null_kd"] = null_gain, 2.0 * damping_ratio * math.sqrt(null_gain)
    params["gravity"] = float(compensate_gravity)
    return params


@compiled
def opspace_torque(arm: np.ndarray, target: np.ndarray, params: np.ndarray, work: np.ndarray) -> None:
    """Write the joint torques into `work.torque`.

    Khatib 1987 (IEEE J. Robotics and Automation 3(1)): tau = J' L (a - J M⁻¹ ddq) + ddq + bias with L the inverse of
    J M⁻¹ J', a the PD acceleration at the tool and ddq a joint PD in the null space. As in SERL's `opspace.py`, ddq
    enters as a torque.

    Args:
        arm: `ARM` record.
        target: `TARGET` record; `joints` is where the null space pulls to.
        params: `OPSPACE` record.
        work: `WORK` record.
    """
    a, t, p, w = arm[0], target[0], params[0], work[0]
    J, dq, lower, projected = a.jacobian, a.dq, w.lower, w.projected
    acceleration = w.wrench
    _task_acceleration(arm, target, params, work)
    cholesky(a.inertia, lower)
    _task_inertia(J, lower, projected, w.task)
    null, half = w.null, w.scratch
    for i in range(JOINTS):
        null[i] = -p.null_kp * (a.q[i] - t.joints[i]) - p.null_kd * dq[i]
        half[i] = null[i]
    solve_lower(lower, half)
    for r in range(6):
        for i in range(JOINTS):
            acceleration[r] -= projected[i, r] * half[i]
    _apply_task_inertia(w.task, w.task_lower, acceleration)
    for i in range(JOINTS):
        torque = null[i] + p.gravity * a.bias[i]
        for r in range(6):
            torque += J[r, i] * acceleration[r]
        w.torque[i] = torque


@compiled
def _task_acceleration(arm: np.ndarray, target: np.ndarray, params: np.ndarray, work: np.ndarray) -> None:
    """PD acceleration of the tool into `work.wrench`; only the proportional part is limited."""
    a, t, p, w = arm[0], target[0], params[0], work[0]
    error = w.error
    quaternion_of(a.rotation, w.quaternion)
    rotation_error(w.quaternion, t.quaternion, error[3:])
    for r in range(3):
        error[r] = a.position[r] - t.position[r]
    for r in range(6):
        error[r] *= -p.kp[r]
    _limit(error[:3], p.max_linear_acceleration)
    _limit(error[3:], p.max_angular_acceleration)
    for r in range(6):
        velocity = 0.0
        for i in range(JOINTS):
            velocity += a.jacobian[r, i] * a.dq[i]
        w.wrench[r] = error[r] - p.kd[r] * velocity


@compiled
def _limit(vector: np.ndarray, longest: float) -> None:
    length = math.sqrt(vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2)
    if length > longest:
        for i in range(3):
            vector[i] *= longest / length


@compiled
def _task_inertia(J: np.ndarray, lower: np.ndarray, projected: np.ndarray, task: np.ndarray) -> None:
    """Compute, with M = lower lower': projected = lower⁻¹ J' (7, 6) and task = J M⁻¹ J' (6, 6)."""
    for r in range(6):
        for i in range(JOINTS):
            projected[i, r] = J[r, i]
        solve_lower(lower, projected[:, r])
    for r in range(6):
        for c in range(r + 1):
            total = 0.0
            for k in range(JOINTS):
                total += projected[k, r] * projected[k, c]
            task[r, c] = total
            task[c, r] = total


@compiled
def _apply_task_inertia(task: np.ndarray, lower: np.ndarray, vector: np.ndarray) -> None:
    """Replace `vector` by inverse(task) @ vector, or by the truncated pseudo-inverse near a singularity."""
    if cholesky(task, lower) >= SINGULAR_DETERMINANT:
        solve_lower(lower, vector)
        solve_lower_transposed(lower, vector)
    else:
        truncated_pseudo_inverse(task, SINGULAR_DETERMINANT, vector)
