"""`Standstill`: tells by its places whether an arm that was halted moves on."""

from __future__ import annotations

import math
import threading

import numpy as np

from robotkit.schema import RobotState

_BRAKING_S = 0.5
"""How long an arm may brake, and how long one that has moved has to stand until it is said to stand."""
_MOVED_M, _MOVED_RAD = 0.005, 0.02


class Standstill:
    """Looks at the measured places of an arm that is stopped or in a fault, whatever it says of its speed and its mode.

    What begins a target epoch, such as another stop or a reset of the world, gives it the time to brake again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._epoch: int | None = None
        self._place: RobotState | None = None
        self._since_s, self._newest_s = math.inf, -math.inf
        self._moves = False

    def is_left_by(self, state: RobotState) -> bool:
        """Whether the arm moves, by all that was measured so far: by more than 5 mm or 0.02 rad at a joint."""
        with self._lock:
            if state.mode not in ("stopped", "fault"):
                self._epoch, self._moves = None, False
            elif self._epoch != state.target_epoch:
                self._epoch, self._place, self._moves = state.target_epoch, None, False
                self._since_s = self._newest_s = state.stamp_s
            elif state.stamp_s > self._newest_s:
                self._newest_s = state.stamp_s
                self._look(state)
            return self._moves

    def _look(self, state: RobotState) -> None:
        is_late = state.stamp_s - self._since_s > _BRAKING_S
        place = self._place
        if place is None:
            self._place = state if is_late else None
        elif (
            math.dist(place.tcp_pose_in_base[:3], state.tcp_pose_in_base[:3]) > _MOVED_M
            or float(np.abs(place.joint_positions_rad - state.joint_positions_rad).max()) > _MOVED_RAD
        ):
            self._place, self._since_s, self._moves = state, state.stamp_s, True
        elif is_late:
            self._moves = False
