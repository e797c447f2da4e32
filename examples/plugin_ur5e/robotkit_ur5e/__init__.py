"""A UR5e for robotkit, and a bench to try it on."""

from __future__ import annotations

from robotkit import Plane, PluginRef, SafetyLimits, WorkcellConfig, WorkspaceBox


def bench() -> WorkcellConfig:
    """A UR5e (without `robot.host` its stand-in) with a fake gripper and a fake block that lies still."""
    return WorkcellConfig(
        name="ur5e-bench",
        robot=PluginRef(type="ur5e"),
        gripper=PluginRef(type="fake"),
        cameras={"front": PluginRef(type="fake")},
        trackers={"block": PluginRef(type="fake", options={"pose_in_base": [0.45, 0.0, 0.02, 0.0, 0.0, 0.0, 1.0]})},
        limits=SafetyLimits(
            workspace=WorkspaceBox(position_min_m=(0.15, -0.35, 0.0), position_max_m=(0.7, 0.35, 0.55)),
            max_translation_step_m=0.2,
            max_rotation_step_rad=0.5,
            max_joint_step_rad=0.3,
            max_tcp_speed_m_s=1.0,
            max_tcp_rotation_speed_rad_s=2.0,
            watchdog_s=0.5,
            state_max_age_s=0.5,
            planes=(Plane(name="table", point_in_base_m=(0.0, 0.0, 0.0), normal_in_base=(0.0, 0.0, 1.0)),),
        ),
    )
