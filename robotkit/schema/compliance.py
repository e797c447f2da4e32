"""Parameters of the Cartesian impedance law."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import Field, model_validator

from robotkit.schema.arrays import Vec3, read_only
from robotkit.schema.message import Message

CLIP_MAX_M = 0.5
"""A wider clip is no clip: at SERL's stiffness of 2000 N/m it bounds the force at 1000 N."""
CLIP_MAX_SIN = 1.0
"""Largest sine of half an angle, so that every rotation lies inside."""


class ComplianceParams(Message):
    """The impedance law: force = stiffness * clipped error - damping * velocity + Ki * error integral.

    The defaults are SERL's `compliance_param.cfg`. The clips bound the contact force: 2000 N/m * 0.01 m = 20 N. Each
    contains zero: outside such a clip the arm would be pulled away from its own target. Rotation errors are vector
    parts of the error quaternion, sin(angle / 2), as in SERL's controller.
    """

    translational_stiffness_n_m: float = Field(2000.0, ge=0.0, le=5000.0)
    translational_damping_ns_m: float = Field(89.0, ge=0.0, le=500.0)
    translational_ki: float = Field(0.0, ge=0.0, le=100.0)
    rotational_stiffness_nm: float = Field(150.0, ge=0.0, le=500.0)
    rotational_damping_nms_rad: float = Field(7.0, ge=0.0, le=100.0)
    rotational_ki: float = Field(0.0, ge=0.0, le=100.0)
    translational_clip_min_m: Vec3 = Field(default_factory=lambda: read_only((-0.01, -0.01, -0.01)))
    translational_clip_max_m: Vec3 = Field(default_factory=lambda: read_only((0.01, 0.01, 0.01)))
    rotational_clip_min: Vec3 = Field(default_factory=lambda: read_only((-0.05, -0.05, -0.05)))
    rotational_clip_max: Vec3 = Field(default_factory=lambda: read_only((0.05, 0.05, 0.05)))
    nullspace_stiffness_nm_rad: float = Field(0.2, ge=0.0, le=100.0)
    joint1_nullspace_factor: float = Field(100.0, ge=0.0, le=100.0)

    @model_validator(mode="after")
    def _clips_contain_zero(self) -> Self:
        for name, low, high, widest in (
            ("translational_clip", self.translational_clip_min_m, self.translational_clip_max_m, CLIP_MAX_M),
            ("rotational_clip", self.rotational_clip_min, self.rotational_clip_max, CLIP_MAX_SIN),
        ):
            if not ((-widest <= low) & (low <= 0.0) & (high >= 0.0) & (high <= widest)).all():
                raise ValueError(
                    f"{name}: every axis needs -{widest:g} <= min <= 0 <= max <= {widest:g}, "
                    f"got min {low.tolist()} and max {high.tolist()}"
                )
        return self

    @property
    def contact_force_n(self) -> float:
        """Largest force that the proportional law presses with on one axis: stiffness times the wider clip."""
        clip_m = max(float(np.abs(self.translational_clip_min_m).max()), float(self.translational_clip_max_m.max()))
        return self.translational_stiffness_n_m * clip_m

    @property
    def contact_torque_nm(self) -> float:
        """Largest torque that the proportional law presses with about one axis: stiffness times the wider clip."""
        clip = max(float(np.abs(self.rotational_clip_min).max()), float(self.rotational_clip_max.max()))
        return self.rotational_stiffness_nm * clip
