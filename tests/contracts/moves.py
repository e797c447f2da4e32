"""Targets for any arm, and waiting on any clock."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import numpy as np

import robotkit as rk
from tests.support.waiting import wait_until

ARRIVAL_M = 0.006
"""How near to a target an arm has to come; impedance control leaves a few millimetres."""


def wait(cell: rk.Workcell, duration_s: float) -> None:
    """Let time pass in control periods."""
    for _ in range(round(duration_s / 0.02)):
        cell.clock.advance(0.02)


def wait_for_fingers(cell: rk.Workcell) -> None:
    """Wait until the gripper has begun and ended its motion."""
    wait(cell, 0.1)
    for _ in range(100):
        if not cell.gripper.get_state().is_moving:
            return
        wait(cell, 0.02)


def wait_to_arrive(cell: rk.Workcell, command: rk.PoseCommand, deadline_s: float = 2.0) -> None:
    """Let time pass until the tool is where `command` wants it."""
    for _ in range(round(deadline_s / 0.02)):
        wait(cell, 0.02)
        if distance_m(tcp_pose(cell), command) < ARRIVAL_M:
            return
    raise AssertionError(f"still {distance_m(tcp_pose(cell), command):.4f} m away after {deadline_s} s")


def interrupted(cell: rk.Workcell, disturb: Callable[[], object]) -> BaseException | None:
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
    wait_until(lambda: cell.robot.get_state().mode == "travelling" or not mover.is_alive())
    disturb()
    mover.join(20.0)
    assert not mover.is_alive()
    return raised[0] if raised else None


def tcp_pose(cell: rk.Workcell) -> np.ndarray:
    return cell.robot.get_state().tcp_pose_in_base.copy()


def pose_command(pose: np.ndarray) -> rk.PoseCommand:
    """A command that nobody has validated, as hot paths send it."""
    return rk.PoseCommand.trusted(kind="pose", tcp_pose_in_base=np.array(pose, dtype=np.float64))


def nudged(cell: rk.Workcell, distance_m: float = 0.02) -> rk.PoseCommand:
    """A target inside every limit: a little from the measured pose towards the middle of the box."""
    pose = tcp_pose(cell)
    box = cell.limits.workspace
    assert box is not None
    direction = (box.position_min_m + box.position_max_m) / 2 - pose[:3] + [0.0, 1e-6, 0.0]
    pose[:3] += distance_m * direction / np.linalg.norm(direction)
    return rk.PoseCommand(tcp_pose_in_base=pose)


def outside(cell: rk.Workcell) -> rk.PoseCommand:
    pose = tcp_pose(cell)
    box = cell.limits.workspace
    assert box is not None
    pose[2] = box.position_max_m[2] + 0.01
    return pose_command(pose)


def too_far(cell: rk.Workcell) -> rk.PoseCommand:
    """The corner of the box that is farthest away."""
    pose = tcp_pose(cell)
    box = cell.limits.workspace
    assert box is not None
    corners = itertools.product(*zip(box.position_min_m, box.position_max_m, strict=True))
    pose[:3] = max((np.array(c) for c in corners), key=lambda c: np.linalg.norm(c - pose[:3]))
    return pose_command(pose)


def distance_m(pose: np.ndarray, command: rk.PoseCommand) -> float:
    return float(np.linalg.norm(pose[:3] - command.tcp_pose_in_base[:3]))
