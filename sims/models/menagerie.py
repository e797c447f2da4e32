"""The Panda arm and its gripper with their real meshes, from the optional `mujoco-menagerie` package."""

from __future__ import annotations

from typing import Any

from robotkit.errors import ConfigurationError, MissingExtra
from sims.models.panda import TORQUE_MAX_NM


class MenagerieUnavailable(ConfigurationError):
    """The mesh files are not on this machine and could not be downloaded."""

    code = "menagerie_unavailable"


def menagerie_spec() -> tuple[Any, Any]:
    """Load Menagerie's Panda and 2F-85 and undo where they differ from SERL's copies.

    Returns:
        The spec, and the arm's flange body in it with the gripper attached.

    Raises:
        MissingExtra: the package is not installed.
        MenagerieUnavailable: its files are neither cached nor downloadable.
    """
    spec, hand = _load()
    for item in [*spec.lights, *spec.keys]:
        spec.delete(item)
    for name in ("cone", "integrator", "impratio"):
        setattr(hand.option, name, getattr(spec.option, name))
    mount = hand.body("base_mount")
    mount.pos, mount.quat = (0, 0, 0), (-1, 0, 0, 1)
    for joint in hand.joints:
        if "driver" not in joint.name:
            joint.armature = 0
    flange = spec.body("attachment")
    flange.add_frame().attach_body(mount, "", "")
    _motorise(spec)
    return spec, flange


def _load() -> tuple[Any, Any]:
    try:
        import mujoco_menagerie
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "model = \"menagerie\" needs the package mujoco-menagerie: pip install 'robotkit[menagerie]'; "
            'model = "primitive" needs nothing'
        ) from error
    try:
        panda = mujoco_menagerie.get("franka_emika_panda").spec("panda_nohand")
        hand = mujoco_menagerie.get("robotiq_2f85").spec("2f85")
    except mujoco_menagerie.MenagerieError as error:
        raise MenagerieUnavailable(
            f"the meshes of franka_emika_panda and robotiq_2f85 could not be had ({error}). Download them where there "
            "is a network (mujoco-menagerie prefetch franka_emika_panda robotiq_2f85), or point MENAGERIE_ROOT at a "
            'copy; model = "primitive" needs no files'
        ) from error
    return panda, hand


def _motorise(spec: Any) -> None:
    """Turn Menagerie's position servos into torque motors with Franka's limits."""
    for index, limit in enumerate(TORQUE_MAX_NM, start=1):
        motor = spec.actuator(f"actuator{index}")
        motor.set_to_motor()
        motor.ctrlrange, motor.ctrllimited = (-limit, limit), True
        motor.forcelimited, motor.forcerange = False, (0, 0)
