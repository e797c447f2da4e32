"""SERL's Cartesian impedance law: a spring and damper at the tool with clipped errors, and filtered targets."""

from __future__ import annotations

import math

import numpy as np

from robotkit.schema import ComplianceParams
from sims.controllers.compiled import compiled
from sims.controllers.linear import cholesky, solve_lower, solve_lower_transposed
from sims.controllers.records import JOINTS, record
from sims.controllers.rotation import quaternion_of, slerp

GAINS = 8
"""Filtered parameters: translational stiffness, damping, Ki; rotational stiffness, damping, Ki; null space, joint 1."""

IMPEDANCE = np.dtype(
    [
        ("wanted", "f8", (GAINS,)),
        ("gains", "f8", (GAINS,)),
        ("clip_min", "f8", (6,)),
        ("clip_max", "f8", (6,)),
        ("position", "f8", (3,)),
        ("quaternion", "f8", (4,)),
        ("rest", "f8", (JOINTS,)),
        ("integral", "f8", (6,)),
        ("torque", "f8", (JOINTS,)),
        ("filter", "f8"),
        ("max_torque_step", "f8"),
        ("ticks", "f8"),
    ]
)
"""Parameters and memory of the law; `ticks` is the control period in milliseconds, the original's unit of time."""

PSEUDO_INVERSE_DAMPING = 0.2
INTEGRAL_LIMITS = (0.1, 0.3)
"""Limits of the translational (m ms) and the rotational error integral."""
_FILTER_PER_MS = 0.005
_TORQUE_STEP_NM_PER_MS = 1.0


def impedance_record(period_s: float) -> np.ndarray:
    """Parameters of the law for a control period; SERL's 1 kHz constants are converted to it."""
    law = record(IMPEDANCE)
    ticks = period_s * 1e3
    law["ticks"], law["filter"] = ticks, 1.0 - (1.0 - _FILTER_PER_MS) ** ticks
    law["max_torque_step"] = _TORQUE_STEP_NM_PER_MS * ticks
    set_compliance(law, ComplianceParams())
    law["gains"] = law["wanted"]
    return law


def set_compliance(law: np.ndarray, params: ComplianceParams) -> None:
    """Ask for new parameters: clips act at once, gains arrive through the filter."""
    law["wanted"] = (
        params.translational_stiffness_n_m, params.translational_damping_ns_m, params.translational_ki,
        params.rotational_stiffness_nm, params.rotational_damping_nms_rad, params.rotational_ki,
        params.nullspace_stiffness_nm_rad, params.joint1_nullspace_factor,
    )  # fmt: skip
    law["clip_min"] = np.concatenate((params.translational_clip_min_m, params.rotational_clip_min))
    law["clip_max"] = np.concatenate((params.translational_clip_max_m, params.rotational_clip_max))


@compiled
def start_impedance(arm: np.ndarray, target: np.ndarray, law: np.ndarray) -> None:
    """Take the measured pose as filtered target, so that the law starts without a jerk.

    `target.joints` is where the null space pulls to; the torque memory starts at zero, at rest.
    """
    a, p = arm[0], law[0]
    quaternion_of(a.rotation, p.quaternion)
    p.gains[:] = p.wanted
    for i in range(3):
        p.position[i] = a.position[i]
    for i in range(6):
        p.integral[i] = 0.0
    for i in range(JOINTS):
        p.rest[i] = target[0].joints[i]
        p.torque[i] = 0.0


@compiled
def impedance_torque(arm: np.ndarray, target: np.ndarray, law: np.ndarray, work: np.ndarray) -> None:
    """Write the joint torques into `work.torque` and move the filters on by one period.

    tau = J' (-K e - D J dq - Ki ∫e) + N z + bias, with e clipped, N = I - J' pinv(J') the damped null space and z a
    joint spring. The change of tau (without bias) is limited. Source: the law of SERL's `serl_franka_controllers`.

    Args:
        arm: `ARM` record.
        target: `TARGET` record.
        law: `IMPEDANCE` record, updated.
        work: `WORK` record.
    """
    a, p, w = arm[0], law[0], work[0]
    J, wrench, null = a.jacobian, w.wrench, w.null
    _clipped_error(arm, law, work)
    _tool_wrench(arm, law, work)
    _null_spring(arm, law, null)
    _task_part(J, null, w.task, w.task_lower, w.scratch)
    for i in range(JOINTS):
        torque = null[i]
        for r in range(6):
            torque += J[r, i] * (wrench[r] - w.scratch[r])
        step = min(max(torque - p.torque[i], -p.max_torque_step), p.max_torque_step)
        p.torque[i] += step
        w.torque[i] = p.torque[i] + a.bias[i]
    _move_filters(target, law)


@compiled
def _clipped_error(arm: np.ndarray, law: np.ndarray, work: np.ndarray) -> None:
    """Position error in m, and vector part of the error quaternion in the base frame, each inside its clip."""
    a, p, w = arm[0], law[0], work[0]
    R, q, d, error = a.rotation, w.quaternion, p.quaternion, w.error
    quaternion_of(R, q)
    sign = 1.0 if q[0] * d[0] + q[1] * d[1] + q[2] * d[2] + q[3] * d[3] >= 0.0 else -1.0
    qw, qx, qy, qz = sign * q[0], sign * q[1], sign * q[2], sign * q[3]
    x = qw * d[1] - qx * d[0] - qy * d[3] + qz * d[2]
    y = qw * d[2] + qx * d[3] - qy * d[0] - qz * d[1]
    z = qw * d[3] - qx * d[2] + qy * d[1] - qz * d[0]
    for r in range(3):
        error[r] = a.position[r] - p.position[r]
        error[3 + r] = -(R[3 * r] * x + R[3 * r + 1] * y + R[3 * r + 2] * z)
    for r in range(6):
        error[r] = min(max(error[r], p.clip_min[r]), p.clip_max[r])


@compiled
def _tool_wrench(arm: np.ndarray, law: np.ndarray, work: np.ndarray) -> None:
    """Spring, damper and integral at the tool."""
    a, p, w = arm[0], law[0], work[0]
    for r in range(6):
        group = r // 3
        limit = INTEGRAL_LIMITS[0] if group == 0 else INTEGRAL_LIMITS[1]
        p.integral[r] = min(max(p.integral[r] + p.ticks * w.error[r], -limit), limit)
        velocity = 0.0
        for i in range(JOINTS):
            velocity += a.jacobian[r, i] * a.dq[i]
        stiffness, damping, ki = p.gains[3 * group], p.gains[3 * group + 1], p.gains[3 * group + 2]
        w.wrench[r] = -stiffness * w.error[r] - damping * velocity - ki * p.integral[r]


@compiled
def _null_spring(arm: np.ndarray, law: np.ndarray, null: np.ndarray) -> None:
    """Critically damped springs towards the rest configuration; joint 1's is stiffer by its factor."""
    a, p = arm[0], law[0]
    stiffness, factor = p.gains[6], p.gains[7]
    for i in range(JOINTS):
        pull, speed = p.rest[i] - a.q[i], a.dq[i]
        if i == 0:
            pull, speed = pull * factor, speed * 2.0 * math.sqrt(factor)
        null[i] = stiffness * pull - 2.0 * math.sqrt(stiffness) * speed


@compiled
def _task_part(J: np.ndarray, null: np.ndarray, gram: np.ndarray, lower: np.ndarray, part: np.ndarray) -> None:
    """Write part (6,) = (J J' + λ²)⁻¹ J null: what of a joint torque would be felt at the tool."""
    for r in range(6):
        for c in range(6):
            total = PSEUDO_INVERSE_DAMPING**2 if r == c else 0.0
            for i in range(JOINTS):
                total += J[r, i] * J[c, i]
            gram[r, c] = total
        felt = 0.0
        for i in range(JOINTS):
            felt += J[r, i] * null[i]
        part[r] = felt
    cholesky(gram, lower)
    solve_lower(lower, part[:6])
    solve_lower_transposed(lower, part[:6])


@compiled
def _move_filters(target: np.ndarray, law: np.ndarray) -> None:
    t, p = target[0], law[0]
    for i in range(GAINS):
        p.gains[i] += p.filter * (p.wanted[i] - p.gains[i])
    for i in range(3):
        p.position[i] += p.filter * (t.position[i] - p.position[i])
    slerp(p.quaternion, t.quaternion, p.filter)
