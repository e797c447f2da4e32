"""`Follower`: joint set-points that approach a target at bounded speed."""

from __future__ import annotations

import threading

import numpy as np

from robotkit_ur5e import kinematics

PERIOD_S = 0.008
"""Time between two set-points; the controller's servo loop runs as often."""


class Follower:
    """Set-points towards any target whose joint and tool speeds stay below their bounds, near singularities included.

    Args:
        joints_rad: where the arm stands, (6,).
        joint_speed_rad_s: bound for each joint.
        tcp_speed_m_s: bound for the flange, towards poses.
        tcp_speed_rad_s: bound for the flange's turning, towards poses.
    """

    def __init__(
        self, joints_rad: np.ndarray, joint_speed_rad_s: float, tcp_speed_m_s: float, tcp_speed_rad_s: float
    ) -> None:
        self._lock = threading.RLock()  # a signal handler may stop the arm in the middle of a call
        self._setpoint_rad = joints_rad
        self._pose: np.ndarray | None = None
        self._goal_rad = joints_rad
        self._step_rad = joint_speed_rad_s * PERIOD_S
        self._step_m = tcp_speed_m_s * PERIOD_S
        self._turn_rad = tcp_speed_rad_s * PERIOD_S

    @property
    def setpoint_rad(self) -> np.ndarray:
        """The newest set-point (6,)."""
        return self._setpoint_rad

    def follow_pose(self, pose_in_base: np.ndarray) -> None:
        """Bring the flange to a pose (7,) along a straight line."""
        with self._lock:
            self._pose = pose_in_base

    def follow_joints(self, joints_rad: np.ndarray) -> None:
        """Bring the joints to (6,); all of them arrive together."""
        with self._lock:
            self._pose, self._goal_rad = None, joints_rad

    def freeze(self) -> None:
        """Go no farther than the newest set-point, whatever is measured or not."""
        with self._lock:
            self._pose, self._goal_rad = None, self._setpoint_rad

    def stand_at(self, joints_rad: np.ndarray) -> None:
        """Ask for (6,) from the next period on; only for joints that are there, for no speed bounds the way."""
        with self._lock:
            self._pose, self._goal_rad, self._setpoint_rad = None, joints_rad, joints_rad

    def advance(self) -> np.ndarray:
        """The set-point (6,) of the next period."""
        with self._lock:
            if self._pose is None:
                step = self._goal_rad - self._setpoint_rad
            else:
                step, _ = kinematics.step_towards(self._setpoint_rad, self._pose, self._step_m, self._turn_rad)
            longest = float(np.abs(step).max())
            scaled = step if longest <= self._step_rad else step * (self._step_rad / longest)
            self._setpoint_rad = self._setpoint_rad + scaled
            return self._setpoint_rad
