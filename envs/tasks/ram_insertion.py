"""HIL-SERL's RAM insertion: a memory module in the gripper, a slot on a motherboard, sparse reward."""

from __future__ import annotations

import math
from dataclasses import replace

from envs.tasks.insertion import GRIPPER_DOWN, InsertionConfig
from robotkit.schema import ComplianceParams, WorkspaceBox

_X_M, _Y_M, _MOUTH_M, _DEPTH_M, _REACH_M = 0.5, 0.0, 0.03, 0.005, 0.027
"""The slot's middle, the height of its mouth, how deep it is, and from the tool point to the module's edge."""
_TARGET_M = _MOUTH_M - _DEPTH_M + _REACH_M
_PITCH_RAD = 0.05
"""An episode starts with one end of the module lower than the other."""

RAM_VISION = InsertionConfig(
    target_pose_in_base=(_X_M, _Y_M, _TARGET_M, *GRIPPER_DOWN),
    reset_pose_in_base=(
        *(_X_M, _Y_M, _TARGET_M + 0.05),
        *(math.cos(_PITCH_RAD / 2), 0.0, -math.sin(_PITCH_RAD / 2), 0.0),
    ),
    workspace=WorkspaceBox(
        position_min_m=(_X_M - 0.03, _Y_M - 0.02, _TARGET_M - 0.01),
        position_max_m=(_X_M + 0.03, _Y_M + 0.02, _TARGET_M + 0.05),
        reference_quaternion_xyzw=GRIPPER_DOWN,
        rotation_vector_min_rad=(-0.01, -0.1, -0.4),
        rotation_vector_max_rad=(0.01, 0.1, 0.4),
    ),
    # Seated: neither end of the module, 67 mm from its middle, stands out by more than 1.8 mm.
    threshold_m=(0.002, 0.002, 0.001),
    threshold_rad=(0.05, 0.012, 0.02),
    translation_scale_m=0.01,
    rotation_scale_rad=0.06,
    # A target farther ahead than the clips pulls no harder, and would only have to be taken back.
    lead_m=0.005,
    lead_rad=0.02,
    reset_xy_m=0.02,
    reset_rz_rad=0.05,
    lift_m=0.05,
    compliance=ComplianceParams(
        translational_clip_min_m=(-0.002, -0.0016, -0.005),
        translational_clip_max_m=(0.0075, 0.0016, 0.0055),
        rotational_clip_min=(-0.01, -0.025, -0.005),
        rotational_clip_max=(0.01, 0.025, 0.005),
    ),
    precision=ComplianceParams(
        rotational_stiffness_nm=250.0,
        rotational_damping_nms_rad=9.0,
        translational_clip_min_m=(-0.1, -0.1, -0.1),
        translational_clip_max_m=(0.1, 0.1, 0.1),
        rotational_clip_min=(-0.5, -0.5, -0.5),
        rotational_clip_max=(0.5, 0.5, 0.5),
    ),
    part="module",
    socket="slot",
    part_in_socket=(0.0, 0.0, -_DEPTH_M, 0.0, 0.0, 0.0, 1.0),
    socket_pose_in_base=(_X_M, _Y_M, _MOUTH_M, 0.0, 0.0, 0.0, 1.0),
)
"""HIL-SERL's numbers (`experiments/ram_insertion/config.py`), about the slot of the cell `mujoco-ram-insertion`.

Its crops belong to the mounts of its cameras; those of the cell show little but module and board."""
RAM = replace(RAM_VISION, image_keys=(), observes_goal=True)
"""The task without cameras: where the module belongs is measured instead."""
