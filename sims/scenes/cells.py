"""The workcell that SERL's real tasks share: impedance law, gripper, cameras, trackers and limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from robotkit.schema import PluginRef, SafetyLimits, WorkcellConfig, WorkspaceBox

WORKSPACE_MIN_M, WORKSPACE_MAX_M = (0.25, -0.35, 0.0), (0.75, 0.35, 0.6)
TILT_MAX_RAD, TURN_MAX_RAD = 0.6, 2.3
"""Largest rotation vector of a tool target, away from a gripper that points straight down."""
WORKSPACE = WorkspaceBox(
    position_min_m=np.array(WORKSPACE_MIN_M),
    position_max_m=np.array(WORKSPACE_MAX_M),
    reference_quaternion_xyzw=np.array((1.0, 0.0, 0.0, 0.0)),
    rotation_vector_min_rad=-np.array((TILT_MAX_RAD, TILT_MAX_RAD, TURN_MAX_RAD)),
    rotation_vector_max_rad=np.array((TILT_MAX_RAD, TILT_MAX_RAD, TURN_MAX_RAD)),
)
"""Where the tool may be sent, on the table before the arm."""
OVERVIEW_CAMERA = PluginRef(type="mujoco", options={"width_px": 512, "height_px": 512})
"""The camera `overview` of a cell: for people. No observation has it, and randomisation leaves it in its place."""


def impedance_cell(
    name: str,
    world: PluginRef,
    cameras: Sequence[str] | Mapping[str, str],
    trackers: Mapping[str, str],
    workspace: WorkspaceBox = WORKSPACE,
) -> WorkcellConfig:
    """A lock-step cell with a Panda under SERL's impedance law.

    Args:
        name: of the cell.
        world: the scene.
        cameras: names of cameras in the scene that observations may have; a mapping gives each a name in the cell.
        trackers: what each tracker of the cell follows, by name of a body in the scene.
        workspace: where the tool may be sent, base frame.
    """
    seen = cameras if isinstance(cameras, Mapping) else {camera: camera for camera in cameras}
    return WorkcellConfig(
        name=name,
        clock="lockstep",
        world=world,
        robot=PluginRef(type="mujoco", options={"controller": "impedance"}),
        gripper=PluginRef(type="mujoco"),
        cameras={
            **{camera: PluginRef(type="mujoco", options={"camera": part}) for camera, part in seen.items()},
            "overview": OVERVIEW_CAMERA,
        },
        trackers={tracker: PluginRef(type="mujoco", options={"body": body}) for tracker, body in trackers.items()},
        limits=SafetyLimits(
            workspace=workspace,
            max_translation_step_m=0.1,
            max_rotation_step_rad=0.6,
            max_joint_step_rad=0.2,
            # SERL's tasks command at 10 Hz; a command that is half a period late means that nobody is there.
            watchdog_s=0.15,
        ),
    )
