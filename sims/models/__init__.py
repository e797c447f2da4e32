"""Robots as MjSpec, built from numbers or with the meshes of the optional Menagerie package."""

from __future__ import annotations

from typing import Any, Literal

import mujoco

from sims.models.masses import MESH_MASSES, MassSet
from sims.models.menagerie import menagerie_spec
from sims.models.panda import add_motors, add_panda
from sims.models.robotiq_2f85 import add_finger_actuator, add_robotiq_2f85

ModelName = Literal["primitive", "menagerie"]

__all__ = ["MassSet", "ModelName", "arm_spec"]


def arm_spec(model: ModelName, masses: MassSet) -> Any:
    """Build the spec of a Panda with a 2F-85, wrist cameras and sensors, in an otherwise empty world.

    Args:
        model: "primitive" needs no files; "menagerie" looks better and needs the meshes.
        masses: which MuJoCo's idea of the mesh-derived masses to use; only for "primitive".
    """
    if model == "menagerie":
        spec, flange = menagerie_spec()
    else:
        spec, flange = _primitive_spec(masses)
    _add_wrist_cameras(flange)
    _add_sensors(spec)
    return spec


def _primitive_spec(masses: MassSet) -> tuple[Any, Any]:
    spec = mujoco.MjSpec()
    spec.compiler.degree, spec.compiler.autolimits = False, True
    flange = add_panda(spec)
    add_robotiq_2f85(spec, flange, MESH_MASSES[masses])
    add_motors(spec)
    add_finger_actuator(spec)
    return spec, flange


def _add_wrist_cameras(flange: Any) -> None:
    flange.add_camera(name="handcam_depth", pos=(-0.05, 0, 0), quat=(0, 1, -1, 0), fovy=62)
    flange.add_camera(name="handcam_rgb", pos=(-0.05, 0.015, 0), quat=(0, 1, -1, 0), fovy=42.5)


def _add_sensors(spec: Any) -> None:
    sensor, site = mujoco.mjtSensor, mujoco.mjtObj.mjOBJ_SITE
    for name, kind, target in (
        ("2f85/pinch_pos", sensor.mjSENS_FRAMEPOS, "pinch"),
        ("2f85/pinch_quat", sensor.mjSENS_FRAMEQUAT, "pinch"),
        ("2f85/pinch_vel", sensor.mjSENS_FRAMELINVEL, "pinch"),
        ("wrist_force", sensor.mjSENS_FORCE, "attachment_site"),
        ("wrist_torque", sensor.mjSENS_TORQUE, "attachment_site"),
    ):
        spec.add_sensor(name=name, type=kind, objtype=site, objname=target)
