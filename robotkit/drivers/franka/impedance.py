"""SERL's impedance parameters in franky's terms: pure functions, measured against SERL's own law."""

from __future__ import annotations

import franky
import numpy as np

from robotkit.drivers.franka.config import FrankaRobotConfig, joint_limits
from robotkit.schema import ComplianceParams

GAINS_TIME_CONSTANT_S = 0.2
"""SERL filters stiffness and damping like targets: 0.005 of the way in each millisecond."""


def gains(params: ComplianceParams) -> franky.CartesianImpedanceGains:
    """Stiffness and damping.

    SERL's rotation error is sin(angle / 2), franky's is the angle: near zero half the stiffness gives the same torque.
    """
    return franky.CartesianImpedanceGains.isotropic(
        params.translational_stiffness_n_m,
        params.rotational_stiffness_nm / 2,
        params.translational_damping_ns_m,
        params.rotational_damping_nms_rad,
    )


def clips(params: ComplianceParams) -> tuple[np.ndarray, np.ndarray]:
    """Largest position error (3,) in m and rotation error (3,) in rad that the law sees.

    franky clips both directions of an axis alike, so the tighter side counts; a side beyond zero leaves no error at
    all, where SERL's law would push without one. A clip c of sin(angle / 2) is an angle of 2 asin(c).
    """
    translation = np.minimum(-params.translational_clip_min_m, params.translational_clip_max_m)
    rotation = np.minimum(-params.rotational_clip_min, params.rotational_clip_max)
    return np.maximum(translation, 0.0), 2 * np.arcsin(np.clip(rotation, 0.0, 1.0))


def nullspace(params: ComplianceParams) -> tuple[np.ndarray, np.ndarray]:
    """Stiffness (7,) in Nm/rad and damping (7,) in Nms/rad of the spare joint's posture.

    SERL multiplies the first joint's error by the factor f, and its speed by 2 sqrt(f) on top of 2 sqrt(k).
    """
    factor = np.ones(7)
    factor[0] = params.joint1_nullspace_factor
    damping = 2 * np.sqrt(params.nullspace_stiffness_nm_rad) * np.ones(7)
    damping[0] *= 2 * np.sqrt(factor[0])
    return params.nullspace_stiffness_nm_rad * factor, damping


def nullspace_gains(params: ComplianceParams) -> franky.NullspaceGains:
    """`nullspace` for a motion that runs."""
    result = franky.NullspaceGains()
    result.posture_stiffness, result.posture_damping = nullspace(params)
    return result


def motion(
    params: ComplianceParams, posture_rad: np.ndarray, first_gains: np.ndarray, config: FrankaRobotConfig
) -> franky.CartesianImpedanceTrackingMotion:
    """A new tracking motion, whose gains go from `first_gains` to those of `params`; its clips cannot change.

    Args:
        params: the impedance law.
        posture_rad: where the spare joint is drawn to, shape (7,).
        first_gains: gains at the start, shape (9,): translation in N/m, rotation in Nm/rad, posture in Nm/rad.
        config: joint limits and torque rate.
    """
    translation, rotation = clips(params)
    low, high, _ = joint_limits(config)
    repulsion = config.joint_limit_repulsion
    result = franky.CartesianImpedanceTrackingMotion(
        first_gains[0],
        first_gains[1],
        translational_error_clip=translation,
        rotational_error_clip=rotation,
        posture_task=franky.PostureTask(posture_rad, first_gains[2:], nullspace(params)[1]),
        max_delta_tau=config.torque_rate_limit_nm,
        lower_joint_limits=low,
        upper_joint_limits=high,
        joint_limit_activation_distance=repulsion.distance_rad,
        joint_limit_stiffness=repulsion.stiffness_nm_rad,
        joint_limit_damping=repulsion.damping_nms_rad,
        joint_limit_max_torque=repulsion.torque_max_nm,
        gains_time_constant=GAINS_TIME_CONSTANT_S,
    )
    result.set_gains(gains(params))
    return result


def departures(params: ComplianceParams) -> list[str]:
    """Texts that say where this arm differs from `params`; empty when it follows them exactly."""
    found = []
    sides = (
        (params.translational_clip_min_m, params.translational_clip_max_m),
        (params.rotational_clip_min, params.rotational_clip_max),
    )
    if any(not np.allclose(-low, high) for low, high in sides):
        found.append("clips are symmetric on this arm: the tighter side of each axis counts for both")
    if params.translational_ki or params.rotational_ki:
        found.append("the integral gains have no effect on this arm (SERL's own values add at most 0.01 N)")
    return found
