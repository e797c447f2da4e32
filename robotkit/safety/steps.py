"""`StepLimit`: refuses targets that are too far from the previous one."""

from __future__ import annotations

import math

import numpy as np

from robotkit.clock import Clock
from robotkit.devices import BaseRobotServer
from robotkit.errors import StepTooLarge
from robotkit.quaternions import angle_between
from robotkit.safety.wrapper import SafetyWrapper
from robotkit.schema import RobotCommand, SafetyLimits

_LONGEST_INTERVAL_S = 0.5
"""A pause earns no right to a leap: for the speed limit, longer intervals count as this long."""
_ROUNDING = 1.0 + 1e-9


class StepLimit(SafetyWrapper):
    """Counts each target from the last accepted one of its kind, or from the measurement when there is none.

    There is none after `connect`, `stop`, `recover`, `hold`, a joint motion, a reset of the world, and a command of the
    other kind. `LatchedStop` outside serialises the calls.
    """

    def __init__(self, inner: BaseRobotServer, limits: SafetyLimits, clock: Clock) -> None:
        super().__init__(inner)
        self._clock = clock
        self._max_translation_m = _or_infinite(limits.max_translation_step_m)
        self._max_rotation_rad = _or_infinite(limits.max_rotation_step_rad)
        self._min_half_cosine = math.cos(min(self._max_rotation_rad, math.pi) * _ROUNDING / 2) - 1e-12
        self._max_joint_rad = _or_infinite(limits.max_joint_step_rad)
        self._max_speed_m_s = _or_infinite(limits.max_tcp_speed_m_s)
        self._has_speed_limit = limits.max_tcp_speed_m_s is not None
        self._last_pose: list[float] | None = None
        self._last_joints_rad: np.ndarray | None = None
        self._last_accepted_s = -math.inf

    def send(self, command: RobotCommand) -> RobotCommand:
        """Pass a target that is near enough on.

        Raises:
            StepTooLarge: says how far it is and how far it may be.
        """
        if command.kind == "joint":
            self._check_joints(command.joint_positions_rad)
            accepted = self.inner.send(command)
            self.forget_own_target()
            self._last_joints_rad = command.joint_positions_rad
            return accepted
        pose = command.tcp_pose_in_base.tolist()
        now_s = self._clock.now_s() if self._has_speed_limit else 0.0
        self._check_pose(pose, now_s)
        accepted = self.inner.send(command)
        self._last_pose, self._last_joints_rad, self._last_accepted_s = pose, None, now_s
        return accepted

    def connect(self) -> None:
        """Connect; the next step counts from the measurement."""
        self.forget_own_target()
        self.inner.connect()

    def move_to_joint_positions(self, positions_rad: np.ndarray) -> None:
        """Pass the motion on; the next step counts from the measurement."""
        try:
            self.inner.move_to_joint_positions(positions_rad)
        finally:
            self.forget_own_target()

    def stop(self) -> None:
        """Pass the stop on; the next step counts from the measurement."""
        self.forget_own_target()
        self.inner.stop()

    def recover(self) -> None:
        """Pass the recovery on; the next step counts from the measurement."""
        self.forget_own_target()
        self.inner.recover()

    def hold(self) -> None:
        """Pass the hold on; the next step counts from the measurement."""
        self.forget_own_target()
        self.inner.hold()

    def forget_target(self) -> None:
        """The arm was put somewhere else: the next step counts from the measurement."""
        self.forget_own_target()
        self.inner.forget_target()

    def forget_own_target(self) -> None:
        """Count the next step from the measurement, without telling the inner arm."""
        self._last_pose = self._last_joints_rad = None
        self._last_accepted_s = -math.inf

    def _check_pose(self, pose: list[float], now_s: float) -> None:
        last = self._last_pose
        if last is None:
            last = self.inner.get_state().tcp_pose_in_base.tolist()
        x, y, z, qx, qy, qz, qw = pose
        x0, y0, z0, qx0, qy0, qz0, qw0 = last
        distance_m = math.sqrt((x - x0) ** 2 + (y - y0) ** 2 + (z - z0) ** 2)
        if not distance_m <= self._max_translation_m * _ROUNDING:
            raise _too_large("the tool target", distance_m, self._max_translation_m, "m", "max_translation_step_m")
        # The cosine of half the angle is the quaternions' dot product: no inverse function while all is well.
        if not abs(qx * qx0 + qy * qy0 + qz * qz0 + qw * qw0) >= self._min_half_cosine:
            angle_rad = angle_between(last[3:], pose[3:])
            raise _too_large("the tool target", angle_rad, self._max_rotation_rad, "rad", "max_rotation_step_rad")
        if self._has_speed_limit:
            interval_s = min(now_s - self._last_accepted_s, _LONGEST_INTERVAL_S)
            if not distance_m <= self._max_speed_m_s * interval_s * _ROUNDING:
                raise StepTooLarge(
                    f"the tool target is {distance_m:.4f} m from the previous one, {interval_s:.4f} s after it; "
                    f"at most {self._max_speed_m_s} m/s is allowed (limits.max_tcp_speed_m_s). Send smaller steps"
                )

    def _check_joints(self, positions_rad: np.ndarray) -> None:
        last = self._last_joints_rad
        if last is None:
            last = self.inner.get_state().joint_positions_rad
        step_rad = float(np.abs(positions_rad - last).max())
        if not step_rad <= self._max_joint_rad * _ROUNDING:
            raise _too_large("a joint target", step_rad, self._max_joint_rad, "rad", "max_joint_step_rad")


def _or_infinite(limit: float | None) -> float:
    return math.inf if limit is None else limit


def _too_large(what: str, step: float, allowed: float, unit: str, limit: str) -> StepTooLarge:
    return StepTooLarge(
        f"{what} is {step:.4f} {unit} from the previous one; at most {allowed} {unit} is allowed (limits.{limit}). "
        "Go there in smaller steps"
    )
