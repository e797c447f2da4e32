"""Parameters of the Cartesian impedance law."""

from __future__ import annotations

from pydantic import Field

from robotkit.schema.arrays import Vec3, read_only
from robotkit.schema.message import Message


class ComplianceParams(Message):
    """How the arm gives way: force = stiffness * clipped error - damping * velocity + Ki * error integral.

    The defaults are SERL's `compliance_param.cfg`. The clips bound the contact force: 2000 N/m * 0.01 m = 20 N.
    Rotation errors are vector parts of the error quaternion, sin(angle / 2), as in SERL's controller.
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
