"""SERL's PCB insertion: a component in the gripper, its pins into the holes of a board, sparse reward."""

from __future__ import annotations

import math
from dataclasses import replace

from envs.tasks.insertion import GRIPPER_DOWN, InsertionConfig, box_over
from robotkit.schema import ComplianceParams

_X_M, _Y_M, _BOARD_M, _PINS_M, _REACH_M = 0.5, 0.0, 0.02, 0.006, 0.027
"""The middle hole, the board's upper side, the length of the pins, and from the tool point to their tips."""
_TARGET_M = _BOARD_M - _PINS_M + _REACH_M
_XY_M, _RZ_RAD, _TILT_RAD = 0.05, math.pi / 9, 0.05

PCB_VISION = InsertionConfig(
    target_pose_in_base=(_X_M, _Y_M, _TARGET_M, *GRIPPER_DOWN),
    reset_pose_in_base=(_X_M, _Y_M, _TARGET_M + 0.04, *GRIPPER_DOWN),
    workspace=box_over(
        (_X_M, _Y_M, _TARGET_M), _XY_M, below_m=0.005, above_m=0.05, tilt_rad=_TILT_RAD, turn_rad=_RZ_RAD
    ),
    threshold_m=(0.003, 0.003, 0.001),
    threshold_rad=(0.1, 0.1, 0.1),
    translation_scale_m=0.02,
    rotation_scale_rad=0.2,
    lead_rad=0.2,
    reset_xy_m=_XY_M,
    reset_rz_rad=_RZ_RAD,
    lift_m=0.03,
    compliance=ComplianceParams(
        translational_stiffness_n_m=3000.0,
        translational_damping_ns_m=180.0,
        translational_clip_min_m=(-0.002, -0.002, -0.003),
        translational_clip_max_m=(0.0025, 0.0015, 0.002),
        rotational_clip_min=(-0.025, -0.007, -0.01),
        rotational_clip_max=(0.025, 0.007, 0.01),
    ),
    part="component",
    socket="board",
    part_in_socket=(0.0, 0.0, -_PINS_M, 0.0, 0.0, 0.0, 1.0),
    socket_pose_in_base=(_X_M, _Y_M, _BOARD_M, 0.0, 0.0, 0.0, 1.0),
)
"""SERL's numbers (`pcb_env/config.py`), about the board of the cell `mujoco-pcb-insertion`."""
PCB = replace(PCB_VISION, image_keys=(), observes_goal=True)
"""The component task without cameras: where the component belongs is measured instead."""
