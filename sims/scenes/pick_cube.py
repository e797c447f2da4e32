"""A cube on the floor before the arm: SERL's pick-cube arena, and the workcell around it."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from robotkit.schema import PluginRef, SafetyLimits, WorkcellConfig, WorkspaceBox
from sims.scenes import Scene

BLOCK_HALF_SIZE_M = 0.02
BLOCK_MASS_KG = 0.1
WORKSPACE_MIN_M = (0.2, -0.3, 0.0)
WORKSPACE_MAX_M = (0.6, 0.3, 0.5)
# SERL's actions move the target by at most 0.1 m along each axis; the rest is room for rounding.
MAX_STEP_M = 0.1 * 3**0.5 + 1e-6


def furnish(spec: Any) -> None:
    """Add floor, block, lights and the front camera to a spec that holds the arm."""
    _set_options(spec)
    _add_looks(spec)
    world = spec.worldbody
    world.add_camera(name="front", pos=(1.3, 0, 0.7), quat=(0.5963678, 0.3799282, 0.3799282, 0.5963678), fovy=45)
    world.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=(3, 3, 0.01), material="grid")
    block = world.add_body(name="block", pos=(0.5, 0, BLOCK_HALF_SIZE_M))
    block.add_freejoint(name="block")
    block.add_geom(name="block", type=mujoco.mjtGeom.mjGEOM_BOX, size=(BLOCK_HALF_SIZE_M,) * 3, mass=BLOCK_MASS_KG,
                   rgba=(0.6, 0.3, 0.6, 1))  # fmt: skip


def workcell_config() -> WorkcellConfig:
    """The cell `mujoco-pick-cube`: Panda, 2F-85, two cameras and a tracker on the block, in lock-step."""
    return WorkcellConfig(
        name="mujoco-pick-cube",
        clock="lockstep",
        world=PluginRef(type="mujoco", options={"scene": "pick-cube"}),
        robot=PluginRef(type="mujoco", options={"controller": "opspace"}),
        gripper=PluginRef(type="mujoco"),
        cameras={
            "front": PluginRef(type="mujoco", options={"camera": "front"}),
            # SERL's wrist image comes from the depth camera's lens, which sees wider than the colour one.
            "wrist": PluginRef(type="mujoco", options={"camera": "handcam_depth"}),
        },
        trackers={"block": PluginRef(type="mujoco")},
        limits=SafetyLimits(
            workspace=WorkspaceBox(
                position_min_m=np.array(WORKSPACE_MIN_M),
                position_max_m=np.array(WORKSPACE_MAX_M),
                reference_quaternion_xyzw=np.array((1.0, 0.0, 0.0, 0.0)),
            ),
            max_translation_step_m=MAX_STEP_M,
            max_joint_step_rad=0.2,
            watchdog_s=0.15,
        ),
    )


def _set_options(spec: Any) -> None:
    option = spec.option
    option.integrator = mujoco.mjtIntegrator.mjINT_EULER
    option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    option.impratio = 1
    option.noslip_iterations, option.noslip_tolerance = 5, 0
    spec.stat.center, spec.stat.extent = (0.3, 0, 0.4), 0.8


def _add_looks(spec: Any) -> None:
    texture, builtin = mujoco.mjtTexture, mujoco.mjtBuiltin
    spec.visual.headlight.diffuse, spec.visual.headlight.ambient = (0.4, 0.4, 0.4), (0.5, 0.5, 0.5)
    spec.add_texture(name="sky", type=texture.mjTEXTURE_SKYBOX, builtin=builtin.mjBUILTIN_GRADIENT,
                     rgb1=(0.3, 0.5, 0.7), rgb2=(0, 0, 0), width=32, height=512)  # fmt: skip
    spec.add_texture(name="grid", type=texture.mjTEXTURE_2D, builtin=builtin.mjBUILTIN_CHECKER,
                     rgb1=(0.1, 0.2, 0.3), rgb2=(0.2, 0.3, 0.4), width=512, height=512)  # fmt: skip
    grid = spec.add_material(name="grid", texrepeat=(2, 2), texuniform=True, reflectance=0)
    grid.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "grid"
    light = {"specular": (0.3, 0.3, 0.3)}
    spec.worldbody.add_light(pos=(0, 0, 3), dir=(0, 0, -1), diffuse=(1, 1, 1), **light)
    spec.worldbody.add_light(pos=(0, -0.5, 0.4), mode=mujoco.mjtCamLight.mjCAMLIGHT_TARGETBODYCOM, targetbody="block",
                             diffuse=(0.8, 0.8, 0.8), **light)  # fmt: skip


SCENE = Scene(
    name="pick-cube",
    furnish=furnish,
    object_homes_in_base={"block": np.array((0.5, 0.0, BLOCK_HALF_SIZE_M, 0.0, 0.0, 0.0, 1.0))},
)
