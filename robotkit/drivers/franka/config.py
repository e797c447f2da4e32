"""Options of the Franka drivers, and what is known of the arms from their data sheets."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from robotkit.schema import Array, ComplianceParams, JointVector, PluginConfig, Pose, RobotSpec, Vec3
from robotkit.schema.arrays import read_only

_JOINTS = 7
_READY_RAD = (0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4)

_RANGES = {
    "fr3": (
        (-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159),
        (2.7437, 1.7837, 2.9007, -0.1518, 2.8065, 4.5169, 3.0159),
        (2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26),
    ),
    "panda": (
        (-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973),
        (2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973),
        (2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61),
    ),
}
"""Lowest and highest position (rad) and highest speed (rad/s) of each joint, from Franka's limits for the interface."""

JointArray = Annotated[np.ndarray, Array(_JOINTS)]


class FrankaLoad(PluginConfig):
    """What the arm carries beyond the end effector that is set in Desk."""

    mass_kg: float = Field(ge=0.0, le=10.0)
    centre_of_mass_in_flange_m: Vec3 = Field(default_factory=lambda: read_only((0.0, 0.0, 0.0)))
    inertia_kg_m2: Annotated[np.ndarray, Array(3, 3)] = Field(default_factory=lambda: np.zeros((3, 3)))


class FrankaRobotConfig(PluginConfig):
    """Options of a Franka arm."""

    host: str = Field(min_length=1)
    """Address of the control box, as in Desk."""
    model: Literal["fr3", "panda"] = "fr3"
    """Sets the joint ranges. A Panda needs franky's wheel for its own system version too (docs/control_pc.md)."""
    realtime: Literal["enforce", "ignore"] = "enforce"
    """"enforce" asks for a PREEMPT_RT kernel; "ignore" runs on any kernel, and may lose control cycles."""
    collision_torque_nm: float = Field(60.0, gt=0.0, le=120.0)
    """An external joint torque above this is a collision: the arm stops with a reflex."""
    collision_force_n: float = Field(60.0, gt=0.0, le=200.0)
    """The same for the force at the tool; keep it well above stiffness times clip (20 N by default)."""
    load: FrankaLoad | None = None
    tcp_in_nominal_end_effector: Pose | None = None
    """Tool centre point in the end-effector frame that is set in Desk; None takes that frame itself."""
    reset_joint_positions_rad: JointArray = Field(default_factory=lambda: read_only(_READY_RAD))
    joint_relative_dynamics: float = Field(0.2, gt=0.0, le=1.0)
    """Share of the arm's highest joint speed, acceleration and jerk that joint motions use."""
    joint_tolerance_rad: float = Field(0.02, gt=0.0)
    """A joint motion has arrived when no joint is farther away than this."""
    compliance: ComplianceParams = Field(default_factory=ComplianceParams)
    """The impedance law at the start."""
    nullspace_posture_rad: JointArray | None = None
    """Where the spare joint is drawn to; None takes the configuration in which control starts, as SERL does."""
    torque_rate_limit_nm: float = Field(1.0, gt=0.0, le=1.0)
    """Largest change of a joint torque in one control cycle of 1 ms."""
    target_time_constant_s: float = Field(0.2, ge=0.0, le=2.0)
    """First-order filter on the target, as in SERL's controller (0.005 in 1 ms); 0 follows targets at once."""


class FrankaHandConfig(PluginConfig):
    """Options of the Franka Hand."""

    host: str = Field(min_length=1)
    """Address of the control box that the hand is plugged into."""
    speed_m_s: float = Field(0.1, gt=0.0, le=0.1)
    """How fast the distance between the fingers changes."""
    force_n: float = Field(40.0, gt=0.0, le=70.0)
    """With which closed fingers press on what they hold."""
    width_max_m: float = Field(0.08, gt=0.0, le=0.1)
    """Distance between the open fingers."""


def robot_spec(config: FrankaRobotConfig) -> RobotSpec:
    """What is known before the arm is connected."""
    low, high, speed = _RANGES[config.model]
    return RobotSpec(
        name="franka",
        joint_position_min_rad=_vector(low),
        joint_position_max_rad=_vector(high),
        joint_velocity_max_rad_s=_vector(speed),
        reset_joint_positions_rad=config.reset_joint_positions_rad,
    )


def _vector(values: tuple[float, ...]) -> JointVector:
    return read_only(values)
