"""The Robotiq 2F-85 from numbers: the linkage with its inertias, pads, equalities and the one actuator.

Frames, inertias, limits and contact parameters are those of MuJoCo Menagerie's `robotiq_2f85` (see NOTICE). The two
fingers mirror each other: a row describes the right one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from sims.models.joints import add_hinge, set_inertial
from sims.models.masses import MeshMasses

PAD_THICKNESS_M = 0.008
SOLIMP = (0.95, 0.99, 0.001, 0.5, 2.0)
SOLREF = (0.005, 1.0)
PAD_SOLREF = (0.004, 1.0)
DARK, GREY = (0.15, 0.15, 0.15, 1.0), (0.45, 0.45, 0.45, 1.0)
WIDTH_MAX_M = 0.085
"""Distance between the pads when open, from Robotiq's data sheet."""
FINGER_JOINT = "right_driver_joint"
FINGER_CLOSED_RAD = 0.8
HALF_TURN = (0, 0, 0, 1)
_NO_TURN = (1, 0, 0, 0)


@dataclass(frozen=True)
class Side:
    """Right or left finger: its mirror sign and the rotation that mirrors it."""

    name: str
    sign: int
    turn: tuple[int, int, int, int]


SIDES = (Side("right", 1, _NO_TURN), Side("left", -1, HALF_TURN))


def add_robotiq_2f85(spec: Any, flange: Any, masses: MeshMasses) -> None:
    """Mount the gripper on the body `flange`: bodies, pads, tendon, equalities, excludes; no actuator yet."""
    base = _add_base(flange, masses)
    for side in SIDES:
        _add_finger(base, side, masses)
    _exclude_touching_links(spec)
    _couple_fingers(spec)


def add_finger_actuator(spec: Any) -> None:
    """Add the position servo on both fingers, ctrl 0 (open) to 255 (closed), at most 5 N of tendon force."""
    servo = spec.add_actuator(name="fingers_actuator", target="split", trntype=mujoco.mjtTrn.mjTRN_TENDON)
    servo.gaintype, servo.biastype = mujoco.mjtGain.mjGAIN_FIXED, mujoco.mjtBias.mjBIAS_AFFINE
    servo.gainprm[0] = 0.3137255
    servo.biasprm[:3] = (0, -100, -10)
    servo.ctrlrange, servo.ctrllimited = (0, 255), True
    servo.forcerange, servo.forcelimited = (-5, 5), True


def _add_base(flange: Any, masses: MeshMasses) -> Any:
    geom = mujoco.mjtGeom
    mount = flange.add_body(name="base_mount", quat=(-1, 0, 0, 1))
    set_inertial(mount, masses.mount_kg, masses.mount_com, masses.mount_inertia, masses.mount_quaternion)
    mount.add_geom(type=geom.mjGEOM_CYLINDER, size=(0.0375, 0.006, 0), pos=(0, 0, -0.002), rgba=DARK, mass=0)
    base = mount.add_body(name="base", pos=(0, 0, 0.0038), quat=(1, 0, 0, -1))
    set_inertial(base, 0.777441, (0, -2.70394e-05, 0.0354675), (0.000260285, 0.000225381, 0.000152708),
                 (1, -0.00152849, 0, 0))  # fmt: skip
    base.add_geom(type=geom.mjGEOM_CYLINDER, size=(0.0375, 0.015, 0), pos=(0, 0, 0.016), rgba=DARK, mass=0)
    base.add_geom(type=geom.mjGEOM_BOX, size=(0.012, 0.034, 0.0265), pos=(0, 0, 0.0575), rgba=DARK, mass=0,
                  contype=0, conaffinity=0)  # fmt: skip
    base.add_site(name="pinch", pos=(0, 0, 0.145), size=(0.005, 0.005, 0.005), group=4)
    return base


def _add_finger(base: Any, side: Side, masses: MeshMasses) -> None:
    driver = base.add_body(name=f"{side.name}_driver", pos=(0, side.sign * 0.0306011, 0.054904), quat=side.turn)
    set_inertial(driver, 0.00899563, (2.96931e-12 if side.sign > 0 else 0, 0.0177547, 0.00107314),
                 (1.72352e-06, 1.60906e-06, 3.22006e-07), (0.681301, 0.732003, 0, 0))  # fmt: skip
    _limited_hinge(driver, f"{side.name}_driver_joint", (0, FINGER_CLOSED_RAD), armature=0.005, damping=0.1)
    _add_bar(driver, (0, 0.0315, -0.0041), 0.006, GREY)

    coupler = driver.add_body(name=f"{side.name}_coupler", pos=(0, 0.0315, -0.0041))
    set_inertial(coupler, 0.0140974, (0, 0.00301209, 0.0232175), (4.16206e-06, 3.52216e-06, 8.88131e-07),
                 (0.705636, -0.0455904, 0.0455904, 0.705636))  # fmt: skip
    _limited_hinge(coupler, f"{side.name}_coupler_joint", (-1.57, 0))
    _add_bar(coupler, (0, 0.006, 0.046), 0.007, DARK)

    spring = base.add_body(name=f"{side.name}_spring_link", pos=(0, side.sign * 0.0132, 0.0609), quat=side.turn)
    set_inertial(spring, 0.0221642, (-8.65005e-09, 0.0181624, 0.0212658), (8.96853e-06, 6.71733e-06, 2.63931e-06),
                 (0.663403, -0.244737, 0.244737, 0.663403))  # fmt: skip
    add_hinge(spring, f"{side.name}_spring_link_joint", (1, 0, 0), (-0.29670597283, 0.8), stiffness=0.05,
              springref=2.62, damping=0.00125)  # fmt: skip
    _add_bar(spring, (0, 0.045, 0.036), 0.006, DARK)

    follower = spring.add_body(name=f"{side.name}_follower", pos=(0, 0.055, 0.0375))
    set_inertial(follower, 0.0125222, (0, -0.011046, 0.0124786), (2.67415e-06, 2.4559e-06, 6.02031e-07),
                 (1, 0.1664, 0, 0))  # fmt: skip
    _limited_hinge(follower, f"{side.name}_follower_joint", (-0.872664, 0.872664), pos=(0, -0.018, 0.0065))
    _add_bar(follower, (0, -0.0135, 0.012), 0.006, DARK)
    _add_pad(follower, side, masses)


def _add_pad(follower: Any, side: Side, masses: MeshMasses) -> None:
    pad = follower.add_body(name=f"{side.name}_pad", pos=(0, -0.0189, 0.01352))
    axes = (0.707107, 0, 0, 0.707107) if side.sign > 0 else (1, 0, 0, 1)
    set_inertial(pad, 0.0035, (0, -0.0025, 0.0185), (4.73958e-07, 3.64583e-07, 1.23958e-07), axes)
    for number, height, friction, grey in ((1, 0.028125, 0.7, 0.55), (2, 0.009375, 0.6, 0.45)):
        pad.add_geom(name=f"{side.name}_pad{number}", type=mujoco.mjtGeom.mjGEOM_BOX, pos=(0, -0.0026, height),
                     size=(0.011, 0.004, 0.009375), mass=0, friction=(friction, 0.005, 0.0001), solimp=SOLIMP,
                     solref=PAD_SOLREF, priority=1, rgba=(grey, grey, grey, 1.0))  # fmt: skip
    silicone = pad.add_body(name=f"{side.name}_silicone_pad")
    set_inertial(silicone, masses.silicone_kg, masses.silicone_com, masses.silicone_inertia,
                 (0.7071067811865476, 0.0, 0.0, 0.7071067811865476))  # fmt: skip


def _add_bar(body: Any, end: tuple[float, float, float], radius: float, colour: tuple[float, ...]) -> None:
    """Show a link as a bar from its joint to the next one; only the pads collide."""
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=(0, 0, 0, *end), size=(radius, 0, 0), rgba=colour,
                  mass=0, contype=0, conaffinity=0)  # fmt: skip


def _limited_hinge(body: Any, name: str, joint_range: tuple[float, float], **options: Any) -> None:
    add_hinge(body, name, (1, 0, 0), joint_range, solimp_limit=SOLIMP, solref_limit=SOLREF, **options)


def _exclude_touching_links(spec: Any) -> None:
    for side in ("left", "right"):
        spec.add_exclude(bodyname1="base", bodyname2=f"{side}_driver")
        spec.add_exclude(bodyname1="base", bodyname2=f"{side}_spring_link")
        spec.add_exclude(bodyname1=f"{side}_coupler", bodyname2=f"{side}_follower")


def _couple_fingers(spec: Any) -> None:
    """Close the two four-bar loops, and let both fingers move alike."""
    tendon = spec.add_tendon(name="split")
    for side in SIDES:
        tendon.wrap_joint(f"{side.name}_driver_joint", 0.5)
    solver = {"solimp": np.array(SOLIMP), "solref": np.array(SOLREF)}
    for side in SIDES:
        loop = spec.add_equality(type=mujoco.mjtEq.mjEQ_CONNECT, name1=f"{side.name}_follower",
                                 name2=f"{side.name}_coupler", objtype=mujoco.mjtObj.mjOBJ_BODY, **solver)  # fmt: skip
        loop.data[:] = 0
    alike = spec.add_equality(type=mujoco.mjtEq.mjEQ_JOINT, name1="right_driver_joint", name2="left_driver_joint",
                              objtype=mujoco.mjtObj.mjOBJ_JOINT, **solver)  # fmt: skip
    alike.data[:] = 0
    alike.data[1] = 1
