"""The Franka Emika Panda from numbers: frames, inertias, joint ranges, collision capsules, torque motors.

Frames are the Denavit-Hartenberg frames that Franka publishes; masses, centres of mass and inertias are those that
MuJoCo Menagerie's `franka_emika_panda` uses (see NOTICE); the capsules follow Franka's self-collision model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from sims.models.joints import add_hinge

HOME_RAD = np.array((0.0, -0.785, 0.0, -2.35, 0.0, 1.57, np.pi / 4))
"""The configuration that SERL's simulator starts from: gripper down, above the table."""
TORQUE_MAX_NM = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)
VELOCITY_MAX_RAD_S = (2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61)
JOINT_NAMES = tuple(f"joint{i}" for i in range(1, 8))
CAPSULE_COLOUR = (0.95, 0.95, 0.95, 1.0)

Vector = tuple[float, ...]


@dataclass(frozen=True)
class Link:
    """One row of the arm's table: SI units, quaternions wxyz as MuJoCo writes them."""

    name: str
    position: Vector
    quaternion: Vector
    mass_kg: float
    com: Vector
    inertia: Vector
    """xx, yy, zz, xy, xz, yz about the centre of mass."""
    joint_range_rad: tuple[float, float] | None
    capsules: tuple[tuple[Vector, Vector, float], ...]
    """Ends and radius of each capsule: from, to, radius."""


LINKS = (
    Link("link0", (0, 0, 0), (1, 0, 0, 0), 0.629769, (-0.041018, -0.00014, 0.049974),
         (0.00315, 0.00388, 0.004285, 8.2904e-7, 0.00015, 8.2299e-6), None,
         (((-0.075, 0, 0.06), (0, 0, 0.06), 0.06),)),
    Link("link1", (0, 0, 0.333), (1, 0, 0, 0), 4.970684, (0.003875, 0.002081, -0.04762),
         (0.70337, 0.70661, 0.0091170, -0.000139, 0.006772, 0.019169), (-2.8973, 2.8973),
         (((0, 0, -0.26), (0, 0, -0.05), 0.06),)),
    Link("link2", (0, 0, 0), (1, -1, 0, 0), 0.646926, (-0.003141, -0.02872, 0.003495),
         (0.007962, 0.02811, 0.025995, -0.003925, 0.010254, 0.000704), (-1.7628, 1.7628),
         (((0, 0, -0.06), (0, 0, 0.06), 0.06),)),
    Link("link3", (0, -0.316, 0), (1, 1, 0, 0), 3.228604, (0.027518, 0.039252, -0.066502),
         (0.037242, 0.036155, 0.01083, -0.004761, -0.011396, -0.012805), (-2.8973, 2.8973),
         (((0, 0, -0.22), (0, 0, -0.07), 0.06),)),
    Link("link4", (0.0825, 0, 0), (1, 1, 0, 0), 3.587895, (-0.05317, 0.104419, 0.027454),
         (0.025853, 0.019552, 0.028323, 0.007796, -0.001332, 0.008641), (-3.0718, -0.0698),
         (((0, 0, -0.06), (0, 0, 0.06), 0.06),)),
    Link("link5", (-0.0825, 0.384, 0), (1, -1, 0, 0), 1.225946, (-0.011953, 0.041065, -0.038437),
         (0.035549, 0.029474, 0.008627, -0.002117, -0.004037, 0.000229), (-2.8973, 2.8973),
         (((0, 0, -0.31), (0, 0, -0.21), 0.06), ((0, 0.08, -0.20), (0, 0.08, -0.06), 0.025))),
    Link("link6", (0, 0, 0), (1, 1, 0, 0), 1.666555, (0.060149, -0.014117, -0.010517),
         (0.001964, 0.004354, 0.005433, 0.000109, -0.001158, 0.000341), (-0.0175, 3.7525),
         (((0, 0, -0.07), (0, 0, 0.01), 0.05),)),
    Link("link7", (0.088, 0, 0), (1, 1, 0, 0), 0.735522, (0.010517, -0.004252, 0.061597),
         (0.012516, 0.010027, 0.004815, -0.000428, -0.001196, -0.000741), (-2.8973, 2.8973),
         (((0, 0, -0.06), (0, 0, 0.08), 0.04),)),
)  # fmt: skip


def add_panda(spec: Any) -> Any:
    """Add the arm to the world of `spec` and return its flange body, `attachment`."""
    body = spec.worldbody
    for link in LINKS:
        body = _add_link(body, link)
    flange = body.add_body(name="attachment", pos=(0, 0, 0.107), quat=(0.3826834, 0, 0, 0.9238795))
    flange.add_site(name="attachment_site", quat=(0, 0, 0, 1))
    _exclude_overlapping_capsules(spec)
    return flange


def add_motors(spec: Any) -> None:
    """Add a torque motor with Franka's limits to every joint of the arm."""
    for index, (joint, limit) in enumerate(zip(JOINT_NAMES, TORQUE_MAX_NM, strict=True), start=1):
        motor = spec.add_actuator(name=f"actuator{index}", target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        motor.set_to_motor()
        motor.ctrlrange, motor.ctrllimited = (-limit, limit), True


def _add_link(parent: Any, link: Link) -> Any:
    body = parent.add_body(name=link.name, pos=link.position, quat=link.quaternion)
    body.mass, body.ipos, body.fullinertia, body.explicitinertial = link.mass_kg, link.com, link.inertia, True
    if link.joint_range_rad is not None:
        add_hinge(body, f"joint{link.name[-1]}", (0, 0, 1), link.joint_range_rad, armature=0.1, damping=1.0)
    for start, end, radius in link.capsules:
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=(*start, *end), size=(radius, 0, 0),
                      rgba=CAPSULE_COLOUR, mass=0, group=2)  # fmt: skip
    return body


def _exclude_overlapping_capsules(spec: Any) -> None:
    """Capsules of links that are two apart overlap by construction, as does the pedestal with the first link."""
    names = [link.name for link in LINKS]
    for first, second in [*zip(names, names[2:], strict=False), (names[0], names[1])]:
        spec.add_exclude(bodyname1=first, bodyname2=second)
