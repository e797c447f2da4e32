"""A cube on the floor before the arm: SERL's pick-cube arena, and the workcell around it."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from robotkit.schema import PluginRef, SafetyLimits, WorkcellConfig, WorkspaceBox
from sims.scenes import Scene, SceneOptions
from sims.scenes.cells import OVERVIEW_CAMERA
from sims.scenes.furniture import add_room

BLOCK_HALF_SIZE_M = 0.02
BLOCK_MASS_KG = 0.1
WORKSPACE_MIN_M = (0.2, -0.3, 0.0)
WORKSPACE_MAX_M = (0.6, 0.3, 0.5)
# SERL's actions move the target by at most 0.1 m along each axis; the rest is room for rounding.
MAX_STEP_M = 0.1 * 3**0.5 + 1e-6


def add_to_spec(spec: Any, options: SceneOptions) -> None:
    """Add floor, block, lights and the cameras that stand in the room to a spec that holds the arm."""
    _set_options(spec)
    add_room(spec, lamp_over="block")
    world = spec.worldbody
    world.add_camera(name="front", pos=(1.3, 0, 0.7), quat=(0.5963678, 0.3799282, 0.3799282, 0.5963678), fovy=45)
    block = world.add_body(name="block", pos=(0.5, 0, BLOCK_HALF_SIZE_M))
    block.add_freejoint(name="block")
    block.add_geom(name="block", type=mujoco.mjtGeom.mjGEOM_BOX, size=(BLOCK_HALF_SIZE_M,) * 3, mass=BLOCK_MASS_KG,
                   rgba=(0.6, 0.3, 0.6, 1))  # fmt: skip


def workcell_config() -> WorkcellConfig:
    """The cell `mujoco-pick-cube`: Panda, 2F-85, cameras and a tracker on the block, in lock-step."""
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
            "overview": OVERVIEW_CAMERA,
        },
        trackers={"block": PluginRef(type="mujoco")},
        limits=SafetyLimits(
            workspace=WorkspaceBox(
                position_min_m=np.array(WORKSPACE_MIN_M),
                position_max_m=np.array(WORKSPACE_MAX_M),
                reference_quaternion_xyzw=np.array((1.0, 0.0, 0.0, 0.0)),
            ),
            # SERL's law overshoots: full actions to and fro bring the tool up to 0.38 m out of the box.
            measured_margin_m=0.6,
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


SCENE = Scene(
    name="pick-cube",
    add_to_spec=add_to_spec,
    object_homes_in_base={"block": np.array((0.5, 0.0, BLOCK_HALF_SIZE_M, 0.0, 0.0, 0.0, 1.0))},
)
