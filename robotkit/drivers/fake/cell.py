"""The named cell "fake": every fake device, in lock-step."""

from __future__ import annotations

from robotkit.schema import PluginRef, SafetyLimits, WorkcellConfig, WorkspaceBox

_GRIPPER_DOWN = (1.0, 0.0, 0.0, 0.0)


def workcell_config() -> WorkcellConfig:
    """An arm with a gripper, two cameras and one tracked block, inside every limit of the safety layer."""
    return WorkcellConfig(
        name="fake",
        clock="lockstep",
        world=PluginRef(type="fake", options={"objects": {"block": [0.5, 0.0, 0.02, 0.0, 0.0, 0.0, 1.0]}}),
        robot=PluginRef(type="fake"),
        gripper=PluginRef(type="fake"),
        cameras={"front": PluginRef(type="fake"), "wrist": PluginRef(type="fake")},
        trackers={"block": PluginRef(type="fake")},
        limits=SafetyLimits(
            workspace=WorkspaceBox(
                position_min_m=(0.2, -0.4, 0.0),
                position_max_m=(0.8, 0.4, 0.6),
                reference_quaternion_xyzw=_GRIPPER_DOWN,
                rotation_vector_min_rad=(-0.8, -0.8, -1.6),
                rotation_vector_max_rad=(0.8, 0.8, 1.6),
            ),
            max_translation_step_m=0.12,
            max_rotation_step_rad=0.5,
            max_joint_step_rad=0.5,
            max_force_n=60.0,
            max_torque_nm=20.0,
            watchdog_s=0.5,
            state_max_age_s=0.5,
        ),
    )
