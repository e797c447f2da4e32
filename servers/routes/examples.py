"""Request bodies that the OpenAPI document shows, and that work on a Franka arm as they stand."""

from __future__ import annotations

from typing import Any

_POSE = [0.5, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0]
_JOINTS = [0.0, 0.0, 0.0, -1.9, 0.0, 2.0, 0.0]


def _named(**bodies: Any) -> dict[str, Any]:
    return {name: {"summary": name.replace("_", " "), "value": body} for name, body in bodies.items()}


POSE_COMMAND = {"kind": "pose", "tcp_pose_in_base": _POSE}
COMMAND = _named(tool_pose=POSE_COMMAND, joint_positions={"kind": "joint", "joint_positions_rad": _JOINTS})
STEP = _named(
    pose_and_gripper_at_50_Hz={"command": POSE_COMMAND, "gripper": {"position": 1.0}, "period_s": 0.02},
    only_wait={"period_s": 0.1},
)
RESET = _named(
    seeded={"seed": 0},
    block_at_a_place={"seed": None, "object_poses_in_base": {"block": [0.5, 0.1, 0.02, 0.0, 0.0, 0.0, 1.0]}},
)
CLOCK = _named(one_control_period={"period_s": 0.02})
JOINT_MOVE = _named(ready={"joint_positions_rad": _JOINTS})
COMPLIANCE = _named(
    softer={"translational_stiffness_n_m": 1000.0, "translational_damping_ns_m": 63.0},
    gentle_contact={"translational_clip_min_m": [-0.003] * 3, "translational_clip_max_m": [0.003] * 3},
)
GRIPPER = _named(half_open={"position": 0.5}, closed={"position": 0.0})
SERL_POSE = _named(tool_pose={"arr": _POSE})
SERL_GRIPPER = _named(closed_on_a_robotiq={"gripper_pos": 255})
SERL_LOAD = _named(nothing={"mass": 0.0, "F_x_center_load": [0.0, 0.0, 0.0], "load_inertia": [0.0] * 9})
SERL_PARAM = _named(
    compliance={"translational_stiffness": 2000, "translational_clip_x": 0.006, "translational_clip_neg_x": 0.006}
)
