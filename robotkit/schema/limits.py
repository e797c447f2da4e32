"""The limits that the safety layer enforces."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import Field, model_validator

from robotkit.schema.arrays import JointVector, Quaternion, Vec3, read_only
from robotkit.schema.kinematics import Plane
from robotkit.schema.message import Message

_FREE_RAD = np.pi
"""A rotation vector is never longer, so this bounds nothing."""
_WHOLE_TURN_RAD = 2 * np.pi
_FARTHEST_M = 10.0
"""Farther from the base than any arm reaches: such a number is no length in metres."""


class WorkspaceBox(Message):
    """The box of allowed tool targets, in metres and radians; a box that no arm reaches is refused.

    Orientation is bounded as a rotation vector relative to a reference orientation, never as Euler angles: those wrap
    near a gripper that points down, and a clip there turns the arm away from its target.
    """

    position_min_m: Vec3
    position_max_m: Vec3
    reference_quaternion_xyzw: Quaternion | None = None
    """Orientation that turns are counted from; None leaves the orientation free."""
    rotation_vector_min_rad: Vec3 = Field(default_factory=lambda: read_only((-_FREE_RAD,) * 3))
    rotation_vector_max_rad: Vec3 = Field(default_factory=lambda: read_only((_FREE_RAD,) * 3))

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for low, high, name in (
            (self.position_min_m, self.position_max_m, "position"),
            (self.rotation_vector_min_rad, self.rotation_vector_max_rad, "rotation_vector"),
        ):
            if (low > high).any():
                raise ValueError(f"{name}_min must not exceed {name}_max: {low.tolist()} > {high.tolist()}")
        for low, high, most, what in (
            (self.position_min_m, self.position_max_m, _FARTHEST_M, "the box is given in metres, at most 10 m"),
            (
                self.rotation_vector_min_rad, self.rotation_vector_max_rad, _WHOLE_TURN_RAD,
                "rotation vectors are given in rad, at most 2 pi",
            ),
        ):  # fmt: skip
            if max(np.abs(low).max(), np.abs(high).max()) > most:
                raise ValueError(f"{what} in each direction, got {low.tolist()} to {high.tolist()}")
        bounds_rotation = (self.rotation_vector_min_rad > -_FREE_RAD).any() or (
            self.rotation_vector_max_rad < _FREE_RAD
        ).any()
        if bounds_rotation and self.reference_quaternion_xyzw is None:
            raise ValueError(
                "rotation_vector_min_rad and rotation_vector_max_rad count from reference_quaternion_xyzw, which is "
                "missing: give it, (1, 0, 0, 0) for a gripper that points down"
            )
        return self


class ComplianceLimits(Message):
    """Limits of contact force, damping ratio and stiffness in the impedance law; None switches one off."""

    max_contact_force_n: float | None = Field(None, gt=0.0, le=2000.0)
    """Stiffness times clip, of the stiffest axis."""
    max_contact_torque_nm: float | None = Field(None, gt=0.0, le=2000.0)
    min_damping_ratio: float | None = Field(None, ge=0.0, le=2.0)
    """Damping / (2 sqrt(stiffness * mass)), for a mass of 1 kg and 0.02 kg m^2: SERL's law has 1.0 and 2.0."""
    max_translational_stiffness_n_m: float | None = Field(None, gt=0.0, le=1e5)
    max_rotational_stiffness_nm: float | None = Field(None, gt=0.0, le=1e4)


class SafetyLimits(Message):
    """Limits that the safety layer enforces; None switches one off, and a number that bounds no arm is refused.

    A real arm does not start without `workspace`, `max_tcp_speed_m_s`, `max_tcp_rotation_speed_rad_s`, `watchdog_s` and
    `state_max_age_s`, unless `unlimited` says so.
    """

    unlimited: bool = False
    """True lets a real arm start without the limits that every real arm should have."""
    workspace: WorkspaceBox | None = None
    planes: tuple[Plane, ...] = ()
    """Table, walls: every link stays on the side that the normal points to. Needs an arm that tells its kinematics."""
    link_clearance_m: float | None = Field(None, ge=0.0, le=1.0)
    """Smallest distance between links of the arm that are not neighbours. Needs an arm that tells its kinematics."""
    joint_path_margin_m: float = Field(0.02, ge=0.0, le=0.2)
    """How far the tool may leave the workspace box on its way along a joint path between two points inside."""
    max_translation_step_m: float | None = Field(None, gt=0.0, le=2.0)
    """Largest distance between two consecutive pose targets (the first counts from the measured pose)."""
    max_rotation_step_rad: float | None = Field(None, gt=0.0, le=_FREE_RAD)
    max_joint_step_rad: float | None = Field(None, gt=0.0, le=_WHOLE_TURN_RAD)
    max_tcp_speed_m_s: float | None = Field(None, gt=0.0, le=5.0)
    """Mean speed of the tool's targets: in any interval they move at most speed * (interval + `speed_window_s`).

    Joint targets count by where they bring the tool, on an arm that tells its kinematics.
    """
    max_tcp_rotation_speed_rad_s: float | None = Field(None, gt=0.0, le=20.0)
    max_joint_speed_rad_s: float | None = Field(None, gt=0.0, le=50.0)
    """Largest speed of each joint; the arm's own highest speeds count in any case."""
    speed_window_s: float = Field(0.5, gt=0.0, le=1.0)
    """How much unused time counts: a late command may make up for it, a burst may not go farther."""
    joint_position_min_rad: JointVector | None = None
    """Lower end of each joint's range; None takes the arm's own range, which a wider one given here does not widen."""
    joint_position_max_rad: JointVector | None = None
    compliance: ComplianceLimits = Field(default_factory=ComplianceLimits)
    max_force_n: float | None = Field(None, gt=0.0, le=2000.0)
    """Measured at the tool; above it the arm is stopped. Needs an arm that measures a wrench."""
    max_torque_nm: float | None = Field(None, gt=0.0, le=2000.0)
    measured_margin_m: float = Field(0.02, ge=0.0, le=1.0)
    """How far outside the workspace box or beyond a plane the arm may be measured before it is stopped.

    A real arm does not start with more than 0.2 m; a simulated one may have a law that overshoots farther.
    """
    measured_speed_factor: float = Field(2.0, ge=1.0, le=5.0)
    """The arm is stopped when it is measured faster than this times a speed limit, twice in a row, and has gone farther
    than at that speed by what it would have gone in 20 ms."""
    watchdog_s: float | None = Field(None, gt=0.0, le=5.0)
    """Time without a command after which the arm holds where it was measured.

    Only on a clock that runs by itself: in lock-step no time passes while the client is silent.
    """
    state_max_age_s: float | None = Field(None, gt=0.0, le=0.5)
    """An older measurement raises StaleState, no command is accepted on it, and an arm that moves is stopped.

    A tool at 0.5 m/s goes 25 cm unseen in the largest; what is held is held at a measurement of at most 50 ms.
    """

    @model_validator(mode="after")
    def _joint_ranges_are_ordered(self) -> Self:
        low, high = self.joint_position_min_rad, self.joint_position_max_rad
        if low is not None and high is not None and (len(low) != len(high) or (low > high).any()):
            raise ValueError(
                f"joint_position_min_rad must have the length of joint_position_max_rad and not exceed it: "
                f"{low.tolist()}, {high.tolist()}"
            )
        return self

    @property
    def watches(self) -> bool:
        """True when something that is measured can stop the arm."""
        bounds = (
            self.workspace, self.planes or None, self.link_clearance_m, self.max_force_n, self.max_torque_nm,
            self.max_tcp_speed_m_s, self.max_tcp_rotation_speed_rad_s, self.max_joint_speed_rad_s, self.state_max_age_s,
        )  # fmt: skip
        return any(bound is not None for bound in bounds)
