"""Helpers of the contracts: targets for any arm, and waiting on any clock."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

import numpy as np

import robotkit as rk
from robotkit.workcell import Workcell

ARRIVAL_M = 0.006
"""How near to a target an arm has to come; impedance control leaves a few millimetres."""
_MOTION_S = 20.0


def gripper_of(cell: Workcell) -> rk.BaseGripperServer:
    """The gripper of a cell, which must have one."""
    assert cell.gripper is not None, "the contract needs a cell with a gripper"
    return cell.gripper


def translation_step_m(cell: Workcell) -> float:
    """The step limit of a cell, which must have one."""
    step_m = cell.limits.max_translation_step_m
    assert step_m is not None, "the contract needs a cell with limits.max_translation_step_m"
    return step_m


def joint_step_rad(cell: Workcell) -> float:
    """The joint step limit of a cell, which must have one."""
    step_rad = cell.limits.max_joint_step_rad
    assert step_rad is not None, "the contract needs a cell with limits.max_joint_step_rad"
    return step_rad


def wait(cell: Workcell, duration_s: float) -> None:
    """Let time pass in control periods."""
    for _ in range(round(duration_s / 0.02)):
        cell.clock.advance(0.02)


def wait_for_fingers(cell: Workcell) -> None:
    """Wait until the gripper has begun and ended its motion."""
    wait(cell, 0.1)
    for _ in range(100):
        if not gripper_of(cell).get_state().is_moving:
            return
        wait(cell, 0.02)


def wait_to_arrive(cell: Workcell, command: rk.PoseCommand, deadline_s: float = 2.0) -> None:
    """Let time pass until the tool is at the target of `command`."""
    for _ in range(round(deadline_s / 0.02)):
        wait(cell, 0.02)
        if distance_m(tcp_pose(cell), command) < ARRIVAL_M:
            return
    raise AssertionError(f"still {distance_m(tcp_pose(cell), command):.4f} m away after {deadline_s} s")


def interrupted(cell: Workcell, disturb: Callable[[], object]) -> BaseException | None:
    """Begin a joint motion, do `disturb` while it runs, and return what the motion raised."""
    goal = cell.robot.get_state().joint_positions_rad.copy()
    goal[0] += 0.2
    raised: list[BaseException] = []

    def move() -> None:
        try:
            cell.robot.move_to_joint_positions(goal)
        except rk.RobotkitError as error:
            raised.append(error)

    mover = threading.Thread(target=move)
    mover.start()
    while cell.robot.get_state().mode != "travelling" and mover.is_alive():
        time.sleep(0.005)
    disturb()
    mover.join(_MOTION_S)
    assert not mover.is_alive(), f"the joint motion has not ended within {_MOTION_S:g} s"
    return raised[0] if raised else None


def tcp_pose(cell: Workcell) -> np.ndarray:
    """The measured pose (7,) of the tool."""
    return cell.robot.get_state().tcp_pose_in_base.copy()


def pose_command(pose: np.ndarray) -> rk.PoseCommand:
    """A command without validation, as control loops send it."""
    return rk.PoseCommand.unchecked(kind="pose", tcp_pose_in_base=np.array(pose, dtype=np.float64))


def nudged(cell: Workcell, distance_m: float = 0.02) -> rk.PoseCommand:
    """A target inside every limit: a little from the measured pose towards the middle of the box."""
    pose = tcp_pose(cell)
    box = _workspace(cell)
    direction = (box.position_min_m + box.position_max_m) / 2 - pose[:3] + [0.0, 1e-6, 0.0]
    pose[:3] += distance_m * direction / np.linalg.norm(direction)
    return rk.PoseCommand(tcp_pose_in_base=pose)


def outside(cell: Workcell) -> rk.PoseCommand:
    """A target 1 cm above the box."""
    pose = tcp_pose(cell)
    box = _workspace(cell)
    pose[2] = box.position_max_m[2] + 0.01
    return pose_command(pose)


def too_far(cell: Workcell) -> rk.PoseCommand:
    """The corner of the box that is farthest away."""
    pose = tcp_pose(cell)
    box = _workspace(cell)
    corners = itertools.product(*zip(box.position_min_m, box.position_max_m, strict=True))
    pose[:3] = max((np.array(c) for c in corners), key=lambda c: np.linalg.norm(c - pose[:3]))
    return pose_command(pose)


def not_a_number(cell: Workcell) -> rk.PoseCommand:
    """The measured pose with a coordinate that is NaN."""
    pose = tcp_pose(cell)
    pose[0] = np.nan
    return pose_command(pose)


def too_short(cell: Workcell) -> rk.PoseCommand:
    """A pose of six numbers."""
    return pose_command(tcp_pose(cell)[:6])


def not_of_unit_length(cell: Workcell) -> rk.PoseCommand:
    """A pose whose quaternion has length 2."""
    return pose_command(tcp_pose(cell) * 2.0)


def distance_m(pose: np.ndarray, command: rk.PoseCommand) -> float:
    """Distance between the tool at `pose` and the target."""
    return float(np.linalg.norm(pose[:3] - command.tcp_pose_in_base[:3]))


def _workspace(cell: Workcell) -> rk.WorkspaceBox:
    box = cell.limits.workspace
    assert box is not None, "the contract needs a cell with limits.workspace"
    return box
