"""The description of a joint, which differs between MuJoCo releases."""

from __future__ import annotations

from functools import cache
from typing import Any

import mujoco
import numpy as np


@cache
def _takes_polynomials() -> bool:
    """True when damping and stiffness are coefficient vectors (recent releases) instead of numbers."""
    probe = mujoco.MjSpec().worldbody.add_body().add_joint()
    return bool(np.ndim(probe.damping) > 0)


def add_hinge(body: Any, name: str, axis: tuple[float, float, float], joint_range: tuple[float, float], *,
              damping: float = 0.0, stiffness: float = 0.0, **options: Any) -> Any:  # fmt: skip
    """Add a limited hinge to `body`; `damping` in Nms/rad, `stiffness` in Nm/rad."""
    kind = mujoco.mjtJoint.mjJNT_HINGE
    return body.add_joint(name=name, type=kind, axis=axis, range=joint_range, limited=True,
                          **_compliance(damping, stiffness), **options)  # fmt: skip


def add_ball(body: Any, name: str, position_m: tuple[float, float, float], *, damping: float, stiffness: float,
             armature: float) -> Any:  # fmt: skip
    """Add a ball joint; `damping` in Nms/rad, `stiffness` in Nm/rad about every axis, `armature` in kg m²."""
    kind = mujoco.mjtJoint.mjJNT_BALL
    return body.add_joint(name=name, type=kind, pos=position_m, armature=armature, **_compliance(damping, stiffness))


def _compliance(damping: float, stiffness: float) -> dict[str, Any]:
    if _takes_polynomials():
        return {"damping": np.array([damping, 0.0, 0.0]), "stiffness": np.array([stiffness, 0.0, 0.0])}
    return {"damping": damping, "stiffness": stiffness}


def set_inertial(body: Any, mass: float, com: tuple[float, ...], inertia: tuple[float, ...],
                 quaternion_wxyz: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0)) -> None:  # fmt: skip
    """Give `body` its mass in kg, centre of mass in m and diagonal inertia in kg m² along the given axes."""
    body.mass, body.ipos, body.inertia, body.iquat = mass, com, inertia, quaternion_wxyz
    body.explicitinertial = True
