"""`CommandChecks`: all checks that a command has to pass before an arm gets it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from robotkit.clock import Clock
from robotkit.devices import StatefulRobotServer
from robotkit.errors import OutsideWorkspace, StaleState
from robotkit.safety.body import BodyBounds
from robotkit.safety.joint_paths import path_rate_max_hz
from robotkit.safety.steps import StepLimit
from robotkit.safety.validator import CommandValidator
from robotkit.schema import RobotCommand, RobotSpec, RobotState, SafetyLimits
from robotkit.workspace import FARTHEST_BACK_M, BoxBounds, leads_back


class CommandChecks:
    """Compares commands with the limits and with what is measured; the arm's lock is held meanwhile.

    Args:
        arm: its machine says whether it takes commands; it is told nothing.
        limits: None in a field switches that check off.
        clock: of the cell.
        measure: the newest measurement.
    """

    def __init__(
        self, arm: StatefulRobotServer, limits: SafetyLimits, clock: Clock, measure: Callable[[], RobotState]
    ) -> None:
        self._arm, self._machine, self._limits, self._clock, self._measure = arm, arm.machine, limits, clock, measure
        self._box = None if limits.workspace is None else BoxBounds(limits.workspace)
        self._steps = StepLimit(arm.machine, arm.spec, limits, measure)
        self._max_age_s = limits.state_max_age_s
        self._validator: CommandValidator
        self._body: BodyBounds | None
        self.stamp_s = -math.inf
        """Time of the newest measurement."""
        self.counts_time = self._steps.counts_time or self._max_age_s is not None
        """True when the time of a pose target matters; that of a joint target always does."""

    def fit(self, spec: RobotSpec) -> None:
        """Take what the arm says of itself by now into the bounds."""
        limits = self._limits
        self._validator = CommandValidator(spec, limits)
        chain, self._body = spec.kinematics, None
        if chain is not None and (limits.workspace or limits.planes or limits.link_clearance_m is not None):
            self._body = BodyBounds(
                chain, limits.workspace, limits.planes, limits.link_clearance_m, limits.joint_path_margin_m
            )
        self._steps.fit(spec)

    def check(self, command: RobotCommand, now_s: float) -> list[float] | np.ndarray:
        """Every check of a command, cheap ones first; returns the target as it was checked."""
        self._validator.kind(command)
        if command.kind == "pose":
            pose: list[float] = command.tcp_pose_in_base.tolist()
            self._validator.pose(pose)
            self._require_ready(now_s)
            if self._box is not None and not self._box.contains(pose) and not self._is_way_back(command):
                raise OutsideWorkspace(
                    f"{self._box.describe(pose)}; bring the target inside the workspace box. A tool that is outside is "
                    f"led back by targets from at most {FARTHEST_BACK_M} m, from farther by hand or by a joint motion"
                )
            if self._body is not None and self._limits.planes:
                self._body.check_tool(pose[:3], lambda: self._measure().tcp_pose_in_base[:3])
            self._steps.check_pose(pose, now_s)
            return pose
        joints_rad = command.joint_positions_rad
        self._validator.joints(joints_rad)
        self._require_ready(now_s)
        self._steps.check_joints(joints_rad, now_s)
        if self._body is not None:
            self._body.check_path(self._measure().joint_positions_rad, joints_rad)
        return joints_rad

    def check_motion(self, goal_rad: np.ndarray, now_s: float) -> float:
        """Every check of a joint motion from where the arm is; returns how much of it may be done in a second."""
        self._validator.joints(goal_rad)
        self._require_ready(now_s)
        start_rad = self._measure().joint_positions_rad
        if self._body is not None:
            self._body.check_path(start_rad, goal_rad)
        return path_rate_max_hz(self._arm, self._limits, self._steps, start_rad, goal_rad)

    def took(self, target: list[float] | np.ndarray, now_s: float, *, is_sure: bool) -> None:
        """The arm has taken what was checked last, or may have where the answer was lost."""
        if isinstance(target, list):
            self._steps.accepted_pose(target, now_s, is_sure=is_sure)
        else:
            self._steps.accepted_joints(target, now_s, is_sure=is_sure)

    def require_fresh(self, state: RobotState) -> None:
        """Raise `StaleState` unless `state` is of now."""
        age_s = self._clock.now_s() - state.stamp_s
        allowed_s = self._max_age_s or math.inf
        if not age_s <= allowed_s:
            raise StaleState(
                f"arm {self._arm.spec.name!r} has measured nothing for {age_s:.3f} s; at most {self._max_age_s} s is "
                "allowed (limits.state_max_age_s). Check its cable and its controller, then recover() or reconnect"
            )
        if age_s < -allowed_s:
            raise StaleState(
                f"arm {self._arm.spec.name!r} stamps its measurement {-age_s:.3f} s in the future, so its age "
                f"cannot be told (limits.state_max_age_s = {self._max_age_s}). Its driver must stamp on "
                "the cell's clock"
            )

    def _require_ready(self, now_s: float) -> None:
        self._machine.require_ready()
        if self._max_age_s is not None and not abs(now_s - self.stamp_s) <= self._max_age_s:
            self.require_fresh(self._measure())

    def _is_way_back(self, command: RobotCommand) -> bool:
        assert command.kind == "pose" and self._limits.workspace is not None  # noqa: PT018
        return leads_back(self._measure().tcp_pose_in_base, command.tcp_pose_in_base, self._limits.workspace)
