"""Workcells around the simulated arm."""

from __future__ import annotations

import numpy as np

import robotkit as rk


def robot_options(host: str, **others: object) -> dict[str, object]:
    """Options for an arm on any kernel, with joint motions as fast as the arm can."""
    return {"host": host, "realtime": "ignore", "joint_relative_dynamics": 1.0, **others}


def franka_cell(host: str) -> rk.WorkcellConfig:
    """Arm and hand of the simulator, the sensors fake, inside limits around the reset configuration."""
    return rk.WorkcellConfig(
        name="franka-simulator",
        robot=rk.PluginRef(type="franka", options=robot_options(host)),
        gripper=rk.PluginRef(type="franka_hand", options={"host": host}),
        cameras={"front": rk.PluginRef(type="fake")},
        trackers={"block": rk.PluginRef(type="fake", options={"pose_in_base": [0.5, 0, 0, 0, 0, 0, 1]})},
        limits=rk.SafetyLimits(
            # No watchdog: the contract suite watches an arm arrive without repeating its command. No state_max_age_s:
            # a busy machine makes the simulator slow, and the arm is not silent (test_franka_silence.py).
            unlimited=True,
            max_tcp_speed_m_s=2.0,
            workspace=rk.WorkspaceBox(
                position_min_m=np.array((0.2, -0.3, 0.3)), position_max_m=np.array((0.6, 0.3, 0.8))
            ),
            max_translation_step_m=0.12,
            max_joint_step_rad=0.5,
            max_force_n=60.0,
        ),
    )
