"""SERL's peg insertion: a peg in the gripper, a tight hole below it, sparse reward."""

from __future__ import annotations

import math
from dataclasses import replace

from envs.tasks.insertion import GRIPPER_DOWN, InsertionConfig, box_over
from robotkit.schema import ComplianceParams

_X_M, _Y_M, _MOUTH_M, _DEPTH_M, _REACH_M = 0.5, 0.0, 0.05, 0.03, 0.055
"""The hole's axis, the height of its mouth, how deep it is, and from the tool point to the peg's tip."""
_TARGET_M = _MOUTH_M - _DEPTH_M + _REACH_M
_XY_M, _RZ_RAD, _TILT_RAD, _RISE_M = 0.05, math.pi / 6, 0.01, 0.1

PEG_VISION = InsertionConfig(
    target_pose_in_base=(_X_M, _Y_M, _TARGET_M, *GRIPPER_DOWN),
    reset_pose_in_base=(_X_M, _Y_M, _TARGET_M + _RISE_M, *GRIPPER_DOWN),
    workspace=box_over(
        (_X_M, _Y_M, _TARGET_M), _XY_M, below_m=0.0, above_m=_RISE_M, tilt_rad=_TILT_RAD, turn_rad=_RZ_RAD
    ),
    threshold_m=(0.01, 0.01, 0.01),
    threshold_rad=(0.2, 0.2, 0.2),
    translation_scale_m=0.02,
    rotation_scale_rad=0.1,
    reset_xy_m=_XY_M,
    reset_rz_rad=_RZ_RAD,
    lift_m=0.1,
    compliance=ComplianceParams(
        translational_clip_min_m=(-0.003, -0.003, -0.01),
        translational_clip_max_m=(0.003, 0.003, 0.01),
        rotational_clip_min=(-0.02, -0.02, -0.02),
        rotational_clip_max=(0.02, 0.02, 0.02),
    ),
    part="peg",
    socket="socket",
    part_in_socket=(0.0, 0.0, -_DEPTH_M, 0.0, 0.0, 0.0, 1.0),
    socket_pose_in_base=(_X_M, _Y_M, _MOUTH_M, 0.0, 0.0, 0.0, 1.0),
)
"""SERL's numbers (`peg_env/config.py`), about the hole of the cell `mujoco-peg-insertion`."""
PEG = replace(PEG_VISION, image_keys=(), observes_goal=True)
"""The peg task without cameras: where the peg belongs is measured instead."""
