"""Options of the Franka drivers, and the arms' values from their data sheets."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from robotkit import spatial
from robotkit.drivers.franka.kinematics import HAND_TCP_IN_FLANGE, chain
from robotkit.drivers.ranges import TOOL_M, within
from robotkit.schema import Array, ComplianceParams, JointVector, PluginConfig, Pose, RobotSpec, Vec3, Vec6
from robotkit.schema.arrays import read_only

_JOINTS = 7
_COLLISION_MAX = 200.0
_INERTIA_MAX_KG_M2 = 2.0
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
    """The load of the arm in addition to the end effector that is set in Desk."""

    mass_kg: float = Field(ge=0.0, le=10.0)
    centre_of_mass_in_flange_m: Annotated[Vec3, within(TOOL_M)] = Field(
        default_factory=lambda: read_only((0.0, 0.0, 0.0))
    )
    inertia_kg_m2: Annotated[np.ndarray, Array(3, 3)] = Field(default_factory=lambda: np.zeros((3, 3)))

    @field_validator("inertia_kg_m2")
    @classmethod
    def _is_the_inertia_of_a_body(cls, value: np.ndarray) -> np.ndarray:
        tolerance = 1e-6 * float(np.abs(value).max())
        principal = np.linalg.eigvalsh(value)
        if not np.allclose(value, value.T, rtol=0.0, atol=tolerance) or principal[0] < -tolerance:
            raise ValueError(f"an inertia is symmetric and positive semidefinite, not {value.tolist()}")
        if principal[-1] > _INERTIA_MAX_KG_M2:
            raise ValueError(
                f"a moment of inertia of {principal[-1]:g} kg m^2 is more than an arm carries "
                f"({_INERTIA_MAX_KG_M2:g} kg m^2); 1 kg cm^2 is 1e-4 kg m^2"
            )
        return value


class JointLimitRepulsion(PluginConfig):
    """A spring and a damper that push a joint back from the end of its range."""

    distance_rad: float = Field(0.1, gt=0.0, le=0.5)
    """Distance before the end of the range at which the torques begin."""
    stiffness_nm_rad: float = Field(100.0, ge=0.0, le=200.0)
    """Torque for each radian past the beginning."""
    damping_nms_rad: float = Field(2.0, ge=0.0, le=20.0)
    """Torque for each radian in a second towards the end."""
    torque_max_nm: float = Field(10.0, ge=0.0, le=20.0)
    """Bound on their torque; 0 switches them off. SERL's law turns a joint with 7.5 Nm at most, 75 Nm/rad times 0.1."""


class FrankaRobotConfig(PluginConfig):
    """Options of a Franka arm."""

    host: str = Field(min_length=1)
    """Address of the control box, as in Desk."""
    model: Literal["fr3", "panda"] = "fr3"
    """Sets the joint ranges. A Panda needs franky's wheel for its own system version too (docs/control_pc.md)."""
    realtime: Literal["enforce", "ignore"] = "enforce"
    """"enforce" asks for a PREEMPT_RT kernel; "ignore" runs on any kernel, and may lose control cycles."""
    collision_torque_nm: JointArray = Field(default_factory=lambda: read_only((20.0,) * _JOINTS))
    """An external torque of a joint above its own threshold is a collision: the arm stops with a reflex.

    franky's own values; joints 5 to 7 produce 12 Nm at most.
    """
    collision_force_n: Vec6 = Field(default_factory=lambda: read_only((30.0,) * 6))
    """An external force or torque at the tool above its own threshold is a collision too: forces along x, y, z in N,
    then torques about x, y, z in Nm.

    Keep the forces well above stiffness times clip (20 N by default).
    """
    load: FrankaLoad | None = None
    tcp_in_nominal_end_effector: Annotated[Pose, within(TOOL_M)] | None = None
    """Tool centre point in the end-effector frame that is set in Desk; None takes that frame itself."""
    reset_joint_positions_rad: JointArray = Field(default_factory=lambda: read_only(_READY_RAD))
    joint_relative_dynamics: float = Field(0.2, gt=0.0, le=1.0)
    """Share of the arm's highest joint speed, acceleration and jerk that joint motions use."""
    joint_tolerance_rad: float = Field(0.02, gt=0.0, le=0.1)
    """A joint motion has arrived when no joint is farther away than this."""
    compliance: ComplianceParams = Field(default_factory=ComplianceParams)
    """The impedance law at the start."""
    nullspace_posture_rad: JointArray | None = None
    """Where the spare joint is drawn to, from the first command on; None takes the configuration in which control
    starts, as SERL does."""
    joint_limit_repulsion: JointLimitRepulsion = Field(default_factory=JointLimitRepulsion)
    """Torques that keep each joint from the end of its range under impedance control."""
    torque_rate_limit_nm: float = Field(1.0, gt=0.0, le=1.0)
    """Largest change of a joint torque in one control cycle of 1 ms."""
    target_time_constant_s: float = Field(0.2, ge=0.0, le=2.0)
    """First-order filter on the target, as in SERL's controller (0.005 in 1 ms); 0 follows targets at once."""

    @field_validator("collision_torque_nm", "collision_force_n")
    @classmethod
    def _refuse_thresholds_without_a_sense(cls, value: np.ndarray) -> np.ndarray:
        if not ((value > 0.0) & (value <= _COLLISION_MAX)).all():
            raise ValueError(f"collision thresholds are above 0 and at most {_COLLISION_MAX:g}, not {value.tolist()}")
        return value

    @model_validator(mode="after")
    def _keeps_to_the_joint_ranges(self) -> Self:
        low, high, _ = joint_limits(self)
        for name in ("nullspace_posture_rad", "reset_joint_positions_rad"):
            wanted = getattr(self, name)
            if wanted is None:
                continue
            for joint in np.flatnonzero((wanted < low) | (wanted > high)):
                raise ValueError(
                    f"{name}: joint {joint + 1} of the {self.model} turns from {low[joint]:g} to {high[joint]:g} rad, "
                    f"not to {wanted[joint]:g}"
                )
        return self


class FrankaHandConfig(PluginConfig):
    """Options of the Franka Hand."""

    host: str = Field(min_length=1)
    """Address of the control box that the hand is plugged into."""
    speed_m_s: float = Field(0.1, gt=0.0, le=0.1)
    """How fast the distance between the fingers changes."""
    force_n: float = Field(40.0, gt=0.0, le=70.0)
    """Force with which closed fingers press on what they hold."""
    width_max_m: float = Field(0.08, gt=0.0, le=0.1)
    """Distance between the open fingers."""


def joint_limits(config: FrankaRobotConfig) -> tuple[JointVector, JointVector, JointVector]:
    """Lowest and highest positions in rad and highest speeds in rad/s of the model's joints, shape (7,) each."""
    low, high, speed = _RANGES[config.model]
    return read_only(low), read_only(high), read_only(speed)


def robot_spec(config: FrankaRobotConfig) -> RobotSpec:
    """The specification that is known before the arm is connected.

    Only the connected control box tells its nominal end effector; until then the Franka Hand's is assumed.
    """
    low, high, speed = joint_limits(config)
    tool = config.tcp_in_nominal_end_effector
    tcp_in_flange = HAND_TCP_IN_FLANGE if tool is None else spatial.compose(HAND_TCP_IN_FLANGE, tool)
    return RobotSpec(
        name="franka",
        joint_position_min_rad=low,
        joint_position_max_rad=high,
        joint_velocity_max_rad_s=speed,
        reset_joint_positions_rad=config.reset_joint_positions_rad,
        kinematics=chain(tcp_in_flange, has_hand=True),
    )
