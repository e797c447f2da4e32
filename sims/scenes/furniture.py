"""The common parts of scenes: floor, light, cameras, contact options and the material of workpieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from robotkit.spatial import wxyz_from_xyzw
from sims.models import ONLY_ARM, part_of
from sims.scenes import grip_name

# As stiff as a physics step of 2 ms allows: an impedance of 0.99 at rest makes the fingers chatter on a held part.
HARD: dict[str, Any] = {"solref": (0.004, 1.0), "solimp": (0.97, 0.995, 0.0005, 0.5, 2.0)}
"""Contact of a machined part."""
_RUBBER_SOLIMP = (0.98, 0.995, 0.0005, 0.5, 2.0)
SLIPPERY = (0.3, 0.005, 0.0001)
"""Friction of plastic on metal: sliding, torsional in m, rolling in m."""
_WALL_M = 0.005
"""Thickness of a wall around something."""
_PINCH_IN_BASE = (0.0, 0.0, 0.145)


def add_room(
    spec: Any,
    lamp_over: str,
    centre_m: Sequence[float] = (0.3, 0.0, 0.4),
    overview_from_m: Sequence[float] = (1.45, -0.75, 0.95),
) -> None:
    """Add floor, sky, two lights and the camera `overview`, which sees every arm and its workspace.

    Args:
        spec: holds the arms already.
        lamp_over: body that the second light is directed at.
        centre_m: what an interactive viewer looks at; the overview looks 3 cm below it.
        overview_from_m: where the overview is.
    """
    texture, builtin, world = mujoco.mjtTexture, mujoco.mjtBuiltin, spec.worldbody
    spec.stat.center, spec.stat.extent = centre_m, 0.8
    spec.visual.headlight.diffuse, spec.visual.headlight.ambient = (0.4, 0.4, 0.4), (0.5, 0.5, 0.5)
    spec.add_texture(name="sky", type=texture.mjTEXTURE_SKYBOX, builtin=builtin.mjBUILTIN_GRADIENT,
                     rgb1=(0.3, 0.5, 0.7), rgb2=(0, 0, 0), width=32, height=512)  # fmt: skip
    spec.add_texture(name="grid", type=texture.mjTEXTURE_2D, builtin=builtin.mjBUILTIN_CHECKER,
                     rgb1=(0.1, 0.2, 0.3), rgb2=(0.2, 0.3, 0.4), width=512, height=512)  # fmt: skip
    grid = spec.add_material(name="grid", texrepeat=(2, 2), texuniform=True, reflectance=0)
    grid.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "grid"
    light = {"specular": (0.3, 0.3, 0.3)}
    world.add_light(pos=(0, 0, 3), dir=(0, 0, -1), diffuse=(1, 1, 1), **light)
    world.add_light(pos=(0, -0.5, 0.4), mode=mujoco.mjtCamLight.mjCAMLIGHT_TARGETBODYCOM, targetbody=lamp_over,
                    diffuse=(0.8, 0.8, 0.8), **light)  # fmt: skip
    world.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=(3, 3, 0.01), material="grid")
    add_camera(world, "overview", overview_from_m, (centre_m[0], centre_m[1], centre_m[2] - 0.03), 44.0)


def set_contact_options(spec: Any) -> None:
    """Choose what makes a grasp and a tight fit stable at a step of 2 ms."""
    option = spec.option
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone, option.impratio = mujoco.mjtCone.mjCONE_ELLIPTIC, 10
    # Soft friction constraints alone let a held part creep out of the fingers under load.
    option.noslip_iterations, option.noslip_tolerance = 3, 0
    # The fingertips' own contact, which SERL's cube was tuned with, gives way by half a millimetre in a firm grasp.
    for geom in spec.geoms:
        if "_pad" in geom.name:
            geom.solimp = _RUBBER_SOLIMP


def add_camera(body: Any, name: str, position_m: Sequence[float], look_at_m: Sequence[float], fovy_deg: float,
               up: Sequence[float] = (0.0, 0.0, 1.0)) -> None:  # fmt: skip
    """Add a camera at `position_m` that looks at `look_at_m`, both in the frame of `body`."""
    back = np.subtract(position_m, look_at_m)
    right = np.cross(up, back)
    axes = np.stack((right, np.cross(back, right), back))
    matrix = (axes / np.linalg.norm(axes, axis=1, keepdims=True)).T
    quaternion = wxyz_from_xyzw(Rotation.from_matrix(matrix).as_quat())
    body.add_camera(name=name, pos=position_m, quat=quaternion, fovy=fovy_deg)


def add_wrist_cameras(spec: Any, arm: str = ONLY_ARM) -> None:
    """Add `wrist_1` and `wrist_2` on two sides of a flange, where SERL's tasks have them; both see the fingertips."""
    flange = spec.body(part_of(arm, "attachment"))
    for name, side in (("wrist_1", -1.0), ("wrist_2", 1.0)):
        add_camera(flange, part_of(arm, name), (0.075 * side, 0.0, 0.02), (0.0, 0.0, 0.17), 62.0, (side, 0.0, 0.0))


def add_walls(body: Any, half_size_m: tuple[float, float, float], colour: tuple[float, ...]) -> None:
    """Add four walls on the table, which is the bottom of what they enclose.

    Args:
        body: stands on the table; its frame lies in the middle.
        half_size_m: half the inner size along x, y and z.
        colour: red, green, blue and opacity.
    """
    half_x, half_y, half_z = half_size_m
    for side in (-1.0, 1.0):
        for position, size in (
            ((side * (half_x + _WALL_M / 2), 0.0, half_z), (_WALL_M / 2, half_y + _WALL_M, half_z)),
            ((0.0, side * (half_y + _WALL_M / 2), half_z), (half_x, _WALL_M / 2, half_z)),
        ):
            body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=position, size=size, rgba=colour, friction=SLIPPERY,
                          **HARD)  # fmt: skip


def add_grip(spec: Any, body: str, pose_in_tcp: np.ndarray, stays: bool) -> None:
    """Add the weld that holds `body` in the gripper while the fingers close.

    Args:
        spec: holds the arm and the body.
        body: name of the held body.
        pose_in_tcp: where it is held, (7,) xyzw.
        stays: the weld goes on holding it afterwards; otherwise friction does.
    """
    weld = spec.add_equality(name=grip_name(body), type=mujoco.mjtEq.mjEQ_WELD, name1="base", name2=body,
                             objtype=mujoco.mjtObj.mjOBJ_BODY, active=stays, solref=HARD["solref"],
                             solimp=HARD["solimp"])  # fmt: skip
    weld.data[:] = 0
    weld.data[3:6] = pose_in_tcp[:3] + np.array(_PINCH_IN_BASE)
    weld.data[6:10] = wxyz_from_xyzw(pose_in_tcp[3:])
    weld.data[10] = 1
