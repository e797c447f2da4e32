"""`PoseHistory`: an arm's last tool poses, for sensors whose readings are older than the newest state."""

from __future__ import annotations

import threading
from collections import deque
from itertools import pairwise

import numpy as np

from robotkit import spatial
from robotkit.devices import BaseRobotServer
from robotkit.drivers.polling import Source
from robotkit.errors import StaleState

_GAP_MAX_S = 0.1
"""Largest time between two states between which a pose is told: farther apart, the tool may have gone anywhere."""
_ROUNDING_S = 1e-6


class PoseHistory(Source[float]):
    """The tool's poses of the last `span_s`, interpolated; a `Poller` fills it, or a user calls `poll`.

    Args:
        robot: the arm's body, not its safety layer: a fault is the reader's to see, not this history's.
        span_s: how far back it reaches.
    """

    def __init__(self, robot: BaseRobotServer, span_s: float) -> None:
        self._robot = robot
        self._span_s = span_s
        self._lock = threading.Lock()
        self._poses: deque[tuple[float, np.ndarray]] = deque()

    def open(self) -> None:
        """The arm belongs to the cell."""

    def close(self) -> None:
        """Forget: what comes after a failure may lie far from what came before."""
        with self._lock:
            self._poses.clear()

    def poll(self) -> float | None:
        """Read the arm's state; returns its stamp, None when it is not a new one.

        A pose with the stamp of the one before replaces it: a simulated world was put back to its start.
        """
        state = self._robot.get_state()
        with self._lock:
            if self._poses and state.stamp_s <= self._poses[-1][0]:
                if state.stamp_s == self._poses[-1][0]:
                    self._poses[-1] = state.stamp_s, state.tcp_pose_in_base
                return None
            self._poses.append((state.stamp_s, state.tcp_pose_in_base))
            while self._poses[-1][0] - self._poses[0][0] > self._span_s:
                self._poses.popleft()
        return state.stamp_s

    def reaches(self, stamp_s: float) -> bool:
        """True when there is a state at least as new as `stamp_s`."""
        with self._lock:
            return bool(self._poses) and self._poses[-1][0] >= stamp_s - _ROUNDING_S

    def tcp_pose_at(self, stamp_s: float) -> np.ndarray:
        """The tool's pose (7,) in the base frame at a moment on the cell's clock.

        Raises:
            StaleState: no two states, close enough in time, lie around that moment.
        """
        with self._lock:
            poses = list(self._poses)
        for time_s, pose in poses:
            if abs(time_s - stamp_s) <= _ROUNDING_S:
                return pose
        for (before_s, before), (after_s, after) in pairwise(poses):
            if before_s <= stamp_s <= after_s and after_s - before_s <= _GAP_MAX_S + _ROUNDING_S:
                return spatial.interpolate(before, after, (stamp_s - before_s) / (after_s - before_s))
        covered = f"{poses[0][0]:.3f} s to {poses[-1][0]:.3f} s" if poses else "nothing"
        raise StaleState(
            f"the arm's pose at {stamp_s:.3f} s is not known: its states cover {covered}, with gaps of at most "
            f"{_GAP_MAX_S:g} s allowed"
        )
