"""Robots as MjSpec, built from numbers or with the meshes of the optional Menagerie package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import mujoco
import numpy as np

from robotkit.spatial import wxyz_from_xyzw
from sims.models.masses import MESH_MASSES, MassSet
from sims.models.menagerie import menagerie_spec
from sims.models.panda import add_motors, add_panda
from sims.models.robotiq_2f85 import add_finger_actuator, add_robotiq_2f85

ModelName = Literal["primitive", "menagerie"]

__all__ = ["MassSet", "ModelName", "arm_spec", "arms_spec", "part_of"]

ONLY_ARM = ""
"""Name of the arm of a scene that has one: its parts have the names of the model, and its base is at the origin."""


def part_of(arm: str, name: str) -> str:
    """Name of an arm's body, joint, geom, site, sensor, actuator or camera in the model of its scene."""
    return f"{arm}/{name}" if arm else name


def arms_spec(bases_in_world: Mapping[str, np.ndarray], model: ModelName, masses: MassSet) -> Any:
    """Build the spec of one or several arms in an otherwise empty world; see `arm_spec`.

    Args:
        bases_in_world: pose (7,) of each arm's base, by the arm's name.
        model: see `arm_spec`.
        masses: see `arm_spec`.
    """
    if ONLY_ARM in bases_in_world:
        return arm_spec(model, masses)
    spec = mujoco.MjSpec()
    spec.compiler.degree, spec.compiler.autolimits = False, True
    for name, pose in bases_in_world.items():
        frame = spec.worldbody.add_frame(pos=pose[:3], quat=wxyz_from_xyzw(pose[3:]))
        frame.attach_body(arm_spec(model, masses).body("link0"), part_of(name, ""), "")
    return spec


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
