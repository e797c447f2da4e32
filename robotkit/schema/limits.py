"""What the safety layer allows."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import Field, model_validator

from robotkit.schema.arrays import JointVector, Quaternion, Vec3, read_only
from robotkit.schema.message import Message


class WorkspaceBox(Message):
    """Where the tool may be asked to go.

    Orientation is bounded as a rotation vector relative to a reference orientation, never as Euler angles: those wrap
    near a gripper that points down, and a clip there turns the arm away from its target.
    """

    position_min_m: Vec3
    position_max_m: Vec3
    reference_quaternion_xyzw: Quaternion | None = None
    """None leaves the orientation free."""
    rotation_vector_min_rad: Vec3 = Field(default_factory=lambda: read_only((-np.pi, -np.pi, -np.pi)))
    rotation_vector_max_rad: Vec3 = Field(default_factory=lambda: read_only((np.pi, np.pi, np.pi)))

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for low, high, name in (
            (self.position_min_m, self.position_max_m, "position"),
            (self.rotation_vector_min_rad, self.rotation_vector_max_rad, "rotation_vector"),
        ):
            if (low > high).any():
                raise ValueError(f"{name}_min must not exceed {name}_max: {low.tolist()} > {high.tolist()}")
        return self


class SafetyLimits(Message):
    """Limits that the safety layer enforces; None switches one off."""

    workspace: WorkspaceBox | None = None
    max_translation_step_m: float | None = Field(None, gt=0.0)
    """Largest distance between two consecutive pose targets (the first counts from the measured pose)."""
    max_rotation_step_rad: float | None = Field(None, gt=0.0)
    max_joint_step_rad: float | None = Field(None, gt=0.0)
    max_tcp_speed_m_s: float | None = Field(None, gt=0.0)
    """Largest distance between two targets divided by the time between them, of which at most 0.5 s counts."""
    joint_position_min_rad: JointVector | None = None
    """None takes the arm's own range, which a wider one given here does not widen."""
    joint_position_max_rad: JointVector | None = None
    max_force_n: float | None = Field(None, gt=0.0)
    max_torque_nm: float | None = Field(None, gt=0.0)
    watchdog_s: float | None = Field(None, gt=0.0)
    """Without a command for this long the arm holds where it was measured.

    Only on a clock that runs by itself: in lock-step no time passes while the client is silent.
    """
    state_max_age_s: float | None = Field(None, gt=0.0)
    """An older measurement raises StaleState."""
