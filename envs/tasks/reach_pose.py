"""Reaching a tool pose in SERL's pick-cube arena: the smallest `FrankaTask`, a config and nothing else."""

from __future__ import annotations

import math
from dataclasses import replace

from envs.tasks.franka_config import FrankaTaskConfig
from robotkit.schema import WorkspaceBox

_YAW_RAD = 0.5
"""Turn of the target, about the base's z, from a gripper that points down with its fingers along y."""

REACH_POSE = FrankaTaskConfig(
    target_pose_in_base=(0.45, 0.12, 0.15, math.cos(_YAW_RAD / 2), math.sin(_YAW_RAD / 2), 0.0, 0.0),
    reset_pose_in_base=(0.4, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0),
    workspace=WorkspaceBox(
        position_min_m=(0.25, -0.25, 0.05),
        position_max_m=(0.55, 0.25, 0.45),
        reference_quaternion_xyzw=(1.0, 0.0, 0.0, 0.0),
        rotation_vector_min_rad=(-0.3, -0.3, -0.8),
        rotation_vector_max_rad=(0.3, 0.3, 0.8),
    ),
    reset_xy_m=0.05,
    reset_rz_rad=0.2,
)
REACH_POSE_VISION = replace(REACH_POSE, image_keys=("front", "wrist"))
