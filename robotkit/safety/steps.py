"""`StepLimit`: refuses targets that are too far from the previous one, or that come too fast."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from robotkit.devices import ArmMachine
from robotkit.errors import StepTooLarge
from robotkit.kinematics import ForwardKinematics
from robotkit.quaternions import angle_between
from robotkit.safety.budget import SpeedBudget
from robotkit.schema import RobotSpec, RobotState, SafetyLimits

_ROUNDING = 1.0 + 1e-9
_TINY = 1e-9
"""Metres or rad: no way at all."""
_PATH_SAMPLES = 33


class StepLimit:
    """Counts each target from the last accepted one of its kind, or from the measurement when there is none.

    There is none when something else has replaced the target since (the machine's epoch has grown: a connection, a
    stop, a hold, a joint motion, a reset), and after a command of the other kind. Where nobody knows whether the arm
    has the last target, steps are counted from both.

    Args:
        machine: the arm's.
        spec: its highest joint speeds bound joint targets in any case.
        measure: the newest measurement.
    """

    def __init__(
        self, machine: ArmMachine, spec: RobotSpec, limits: SafetyLimits, measure: Callable[[], RobotState]
    ) -> None:
        self._machine = machine
        self._measure = measure
        self._max_translation_m = _or_infinite(limits.max_translation_step_m)
        self._max_rotation_rad = _or_infinite(limits.max_rotation_step_rad)
        self._min_half_cosine = math.cos(min(self._max_rotation_rad, math.pi) * _ROUNDING / 2) - 1e-12
        self._max_joint_rad = _or_infinite(limits.max_joint_step_rad)
        window_s = limits.speed_window_s
        self._translation = _budget(limits.max_tcp_speed_m_s, window_s)
        self._rotation = _budget(limits.max_tcp_rotation_speed_rad_s, window_s)
        self._max_joint_speed_rad_s = _or_infinite(limits.max_joint_speed_rad_s)
        self._joints = SpeedBudget(self._joint_speed_rad_s(spec), window_s)
        self.fit(spec)
        self.counts_time = self._translation is not None or self._rotation is not None
        """True when the time of a pose target matters; that of a joint target always does."""
        bounds_poses = (limits.max_translation_step_m, limits.max_rotation_step_rad, self._translation, self._rotation)
        self._bounds_poses = any(bound is not None for bound in bounds_poses)
        self._distance_m: float  # of the target that was checked last
        self._angle_rad: float
        self._steps_rad: np.ndarray
        self._epoch: int
        self._last_pose: list[float] | None = None
        self._last_joints_rad: np.ndarray | None = None
        self._is_sure = True

    def fit(self, spec: RobotSpec) -> None:
        """Take what the arm says of itself by now; what was counted stays counted, so that no way is had twice."""
        chain = spec.kinematics
        self.kinematics = None if chain is None else ForwardKinematics(chain)
        """Where joint targets bring the tool, so that they count as its motion; None for an arm that does not tell."""
        self._own_speed_rad_s = spec.joint_velocity_max_rad_s
        self._joints.change_speed(self._joint_speed_rad_s(spec))

    def check_pose(self, pose: list[float], now_s: float) -> None:
        """Check a pose target of seven floats.

        Raises:
            StepTooLarge: says how far it is and how far it may be.
        """
        if not self._bounds_poses:
            return
        last = self._pose_before()
        if not self._is_sure:
            self._distance_from(self._measure().tcp_pose_in_base.tolist(), pose)
        self._distance_m = self._distance_from(last, pose)
        self._check_tool_speed(last, pose, now_s)

    def _distance_from(self, last: list[float], pose: list[float]) -> float:
        x, y, z, qx, qy, qz, qw = pose
        x0, y0, z0, qx0, qy0, qz0, qw0 = last
        distance_m = math.sqrt((x - x0) ** 2 + (y - y0) ** 2 + (z - z0) ** 2)
        if not distance_m <= self._max_translation_m * _ROUNDING:
            raise _too_large("the tool target", distance_m, self._max_translation_m, "m", "max_translation_step_m")
        # The cosine of half the angle is the quaternions' dot product: no inverse function while all is well.
        if not abs(qx * qx0 + qy * qy0 + qz * qz0 + qw * qw0) >= self._min_half_cosine:
            angle_rad = angle_between(last[3:], pose[3:])
            raise _too_large("the tool target", angle_rad, self._max_rotation_rad, "rad", "max_rotation_step_rad")
        return distance_m

    def check_joints(self, positions_rad: np.ndarray, now_s: float) -> None:
        """Check a joint target, and where it brings the tool when the arm tells its kinematics.

        Raises:
            StepTooLarge: says how far it is and how far it may be.
        """
        before_rad = self._joints_before()
        if not self._is_sure:
            self._steps_from(self._measure().joint_positions_rad, positions_rad)
        self._steps_rad = steps_rad = self._steps_from(before_rad, positions_rad)
        if not self._joints.allows(steps_rad, now_s):
            left_rad = self._joints.left(now_s)
            joint = int((steps_rad - left_rad).argmax())
            raise _too_fast(
                f"the target of joint {joint}", steps_rad[joint], np.asarray(left_rad)[joint], "rad",
                np.asarray(self._joints.speed)[joint], "max_joint_speed_rad_s and the arm's own highest speed"
            )  # fmt: skip
        if self.kinematics is not None and self.counts_time:
            last, pose = self.kinematics.tcp_poses(np.array((before_rad, positions_rad))).tolist()
            self._distance_m = math.dist(last[:3], pose[:3])
            self._check_tool_speed(last, pose, now_s)

    def _steps_from(self, before_rad: np.ndarray, positions_rad: np.ndarray) -> np.ndarray:
        steps_rad: np.ndarray = np.abs(positions_rad - before_rad)
        step_rad = float(steps_rad.max())
        if not step_rad <= self._max_joint_rad * _ROUNDING:
            raise _too_large("a joint target", step_rad, self._max_joint_rad, "rad", "max_joint_step_rad")
        return steps_rad

    def path_rate_max_hz(self, start_rad: np.ndarray, goal_rad: np.ndarray) -> float:
        """The share of the straight joint path that may be done in a second, so that every speed limit is kept.

        The tool's speed is that of the Jacobian at evenly spaced samples of the path.
        """
        way_rad = goal_rad - start_rad
        rates: list[float] = [*(self._joints.speed / np.maximum(np.abs(way_rad), _TINY)).tolist()]
        if self.kinematics is not None and self.counts_time:
            shares = np.linspace(0.0, 1.0, _PATH_SAMPLES)
            twists = np.array([self.kinematics.jacobian(start_rad + share * way_rad) @ way_rad for share in shares])
            for budget, part in ((self._translation, twists[:, :3]), (self._rotation, twists[:, 3:])):
                if budget is not None:
                    rates.append(float(budget.speed / max(float(np.linalg.norm(part, axis=1).max()), _TINY)))
        return min(rates)

    def own_path_rate_hz(self, start_rad: np.ndarray, goal_rad: np.ndarray) -> float:
        """The share of the straight joint path that the arm does in a second at its own highest joint speed."""
        way_rad = np.abs(goal_rad - start_rad)
        return float((self._own_speed_rad_s / np.maximum(way_rad, _TINY)).min())

    def accepted_pose(self, pose: list[float], now_s: float, *, is_sure: bool = True) -> None:
        """The target that was checked last was accepted, or may have been: count the next one from it."""
        self._spend_tool_speed(now_s)
        self._last_pose, self._last_joints_rad, self._epoch = pose, None, self._machine.epoch
        self._is_sure = is_sure

    def accepted_joints(self, positions_rad: np.ndarray, now_s: float, *, is_sure: bool = True) -> None:
        """The target that was checked last was accepted, or may have been: count the next one from it."""
        self._joints.spend(self._steps_rad, now_s)
        if self.kinematics is not None:
            self._spend_tool_speed(now_s)
        self._last_pose, self._last_joints_rad, self._epoch = None, positions_rad, self._machine.epoch
        self._is_sure = is_sure

    def _joint_speed_rad_s(self, spec: RobotSpec) -> np.ndarray:
        speed_rad_s: np.ndarray = np.minimum(spec.joint_velocity_max_rad_s, self._max_joint_speed_rad_s)
        return speed_rad_s

    def _check_tool_speed(self, last: list[float], pose: list[float], now_s: float) -> None:
        budget, distance_m = self._translation, self._distance_m
        if budget is not None and not budget.allows(distance_m, now_s):
            left_m = budget.left(now_s)
            raise _too_fast("the tool target", distance_m, left_m, "m", budget.speed, "max_tcp_speed_m_s")
        budget = self._rotation
        if budget is not None:
            self._angle_rad = angle_rad = angle_between(last[3:], pose[3:])
            if not budget.allows(angle_rad, now_s):
                left_rad, limit = budget.left(now_s), "max_tcp_rotation_speed_rad_s"
                raise _too_fast("the tool target", angle_rad, left_rad, "rad", budget.speed, limit)

    def _spend_tool_speed(self, now_s: float) -> None:
        if self._translation is not None:
            self._translation.spend(self._distance_m, now_s)
        if self._rotation is not None:
            self._rotation.spend(self._angle_rad, now_s)

    def _pose_before(self) -> list[float]:
        if self._last_pose is None or self._epoch != self._machine.epoch:
            measured: list[float] = self._measure().tcp_pose_in_base.tolist()
            return measured
        return self._last_pose

    def _joints_before(self) -> np.ndarray:
        if self._last_joints_rad is None or self._epoch != self._machine.epoch:
            return self._measure().joint_positions_rad
        return self._last_joints_rad


def _budget(speed: float | None, window_s: float) -> SpeedBudget | None:
    return None if speed is None else SpeedBudget(speed, window_s)


def _or_infinite(limit: float | None) -> float:
    return math.inf if limit is None else limit


def _too_large(what: str, step: float, allowed: float, unit: str, limit: str) -> StepTooLarge:
    return StepTooLarge(
        f"{what} is {step:.4f} {unit} from the previous one; at most {allowed} {unit} is allowed (limits.{limit}). "
        "Go there in smaller steps"
    )


def _too_fast(what: str, step: float, left: object, unit: str, speed: object, limit: str) -> StepTooLarge:
    return StepTooLarge(
        f"{what} is {step:.4f} {unit} from the previous one; at most {left:.4f} {unit} is allowed now, at "
        f"{speed:.4g} {unit}/s (limits.{limit}). Send smaller steps, or at a lower rate"
    )
