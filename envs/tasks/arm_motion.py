"""Moves the tool to a pose in small steps over the cell's clock, and checks that it arrived."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from robotkit import MotionFailed, RobotStopped, TargetReplaced, Workcell, spatial
from robotkit.schema import CellState, PoseCommand, WorkspaceBox
from robotkit.workspace import clip_pose

_WAYS = 5
"""How often a motion may be begun."""


@dataclass(frozen=True)
class ArmMotion:
    """The speed, the steps and the precision of a motion, and the box in which the tool stays."""

    workspace: WorkspaceBox
    """Every target on the way is in it, or leads back to it."""
    period_s: float
    """Time between two targets."""
    speed_m_s: float = 0.15
    speed_rad_s: float = 0.8
    tolerance_m: float = 0.01
    """An arm under impedance control never stands exactly at its target."""
    tolerance_rad: float = 0.05
    timeout_s: float = 3.0
    """Time to come to rest after the last target was sent."""
    still_m_s: float = 0.02
    still_rad_s: float = 0.1

    def run(self, workcell: Workcell, goal: np.ndarray) -> CellState:
        """Move from the measured pose to `goal` (7,), on a straight line and the shortest arc, and come to rest there.

        A start outside the box is brought into it first, in steps like all others. When something else replaces the
        target on the way (a hold, another client), the rest of the way begins where the arm is then. Returns the state
        on arrival, whose `accepted` is `goal`.

        Raises:
            RobotStopped: a stop came on the way, or a stop or a fault that was recovered within a step.
            MotionFailed: the tool did not come to rest at the goal in time (it goes on pushing towards it), or the
                target was replaced again and again.
        """
        goal = clip_pose(goal, self.workspace)
        state = workcell.get_state()
        recoveries = state.robot.recoveries
        for _ in range(_WAYS):
            try:
                return self._go(workcell, state, goal)
            except TargetReplaced:
                state = workcell.get_state()
            if state.robot.recoveries != recoveries:
                raise RobotStopped(
                    "the arm was stopped, or in a fault, and recovered while the tool was on its way; nothing goes on "
                    "by itself after that. See that the cell is clear, then reset again"
                )
        raise MotionFailed(
            f"the tool did not reach {np.round(goal, 4).tolist()}: something else replaced its target {_WAYS} times on "
            "the way (a hold, or another client). See who commands the cell, then reset again"
        )

    def targets(self, start: np.ndarray, goal: np.ndarray) -> list[np.ndarray]:
        """Poses (7,) on the way, `goal` the last of them; those outside the box are each nearer to it than the last.

        No two in a row, `start` before the first, differ by more than the speeds allow in a period.
        """
        entry = clip_pose(start, self.workspace)
        inside = [clip_pose(pose, self.workspace) for pose in self._steps(entry, goal)]
        return [*self._steps(start, entry), *inside[:-1], goal]

    def _steps(self, start: np.ndarray, end: np.ndarray) -> list[np.ndarray]:
        """Evenly spaced poses (7,) from `start`, which is left out, to `end`; none where the two are one."""
        distance_m = spatial.distance_between(start, end)
        angle_rad = spatial.angle_between(start[3:], end[3:])
        duration_s = max(distance_m / self.speed_m_s, angle_rad / self.speed_rad_s)
        count = math.ceil(duration_s / self.period_s - 1e-9)
        return [spatial.interpolate(start, end, number / count) for number in range(1, count + 1)]

    def _go(self, workcell: Workcell, state: CellState, goal: np.ndarray) -> CellState:
        """Go one way; raises `TargetReplaced` as soon as its targets count from one that the arm has not any more."""
        epoch = state.robot.target_epoch
        for target in self.targets(state.robot.tcp_pose_in_base, goal):
            state = self._step(workcell, target, epoch)
        return self._come_to_rest(workcell, state, goal, epoch)

    def _step(self, workcell: Workcell, target: np.ndarray, epoch: int) -> CellState:
        command = PoseCommand.unchecked(kind="pose", tcp_pose_in_base=target)
        state = workcell.step(command, None, self.period_s, epoch)
        if state.robot.target_epoch != epoch:
            raise TargetReplaced("something else replaced the target of the motion during a step")
        return state

    def _come_to_rest(self, workcell: Workcell, state: CellState, goal: np.ndarray, epoch: int) -> CellState:
        for _ in range(math.ceil(self.timeout_s / self.period_s)):
            if self._has_arrived(state, goal):
                return state
            # The target is sent again, so that a watchdog does not take the waiting for silence.
            state = self._step(workcell, goal, epoch)
        if self._has_arrived(state, goal):
            return state
        pose, twist = state.robot.tcp_pose_in_base, state.robot.tcp_twist_in_base
        off_m, off_rad = spatial.distance_between(pose, goal), spatial.angle_between(pose[3:], goal[3:])
        raise MotionFailed(
            f"the tool did not come to rest at {np.round(goal, 4).tolist()} within {self.timeout_s:g} s: it is "
            f"{off_m:.4f} m and {off_rad:.3f} rad away (allowed: {self.tolerance_m} m, {self.tolerance_rad} rad), at a "
            f"speed of {float(np.linalg.norm(twist[:3])):.3f} m/s. Look what is in its way, then reset again"
        )

    def _has_arrived(self, state: CellState, goal: np.ndarray) -> bool:
        pose, twist = state.robot.tcp_pose_in_base, state.robot.tcp_twist_in_base
        return bool(
            spatial.distance_between(pose, goal) <= self.tolerance_m
            and spatial.angle_between(pose[3:], goal[3:]) <= self.tolerance_rad
            and np.linalg.norm(twist[:3]) <= self.still_m_s
            and np.linalg.norm(twist[3:]) <= self.still_rad_s
        )
