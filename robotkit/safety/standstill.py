"""`Standstill`: tells by its places whether an arm that was halted moves on, and when its halt is to be told again."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import numpy as np

from robotkit.schema import RobotState

_BRAKING_S = 0.5
"""How long an arm may brake, and how long one that has moved has to stand until it is said to stand."""
_MOVED_M, _MOVED_RAD = 0.005, 0.02
_TOLD_APART_S, _TOLD_TIMES = 1.0, 3
"""How often the halt of one stop is told again: who guides the arm by hand is not to be fought."""


class Standstill:
    """Looks at the measured places of an arm that has to stand, whatever it says of its speed and its mode.

    It has time to brake once, when it is halted: another stop gives it no more. A reset of the world, which puts it
    elsewhere, and a recovery do.

    Args:
        tell_again: has the halt told again, without waiting for it.
    """

    def __init__(self, tell_again: Callable[[], object]) -> None:
        self._tell_again = tell_again
        self._lock = threading.RLock()  # a signal handler may measure between any two lines
        self.begin_anew()

    def begin_anew(self) -> None:
        """The arm is not halted, was connected again, or was put elsewhere: it may brake from the next look on."""
        with self._lock:
            self._place: RobotState | None = None
            self._since_s = self._newest_s = self._told_s = -math.inf
            self._stops, self._told = -1, 0
            self._moves = False
            self._recoveries: int | None = None  # last: a handler that measures before may set it and the others

    def is_left_by(self, state: RobotState, *, has_to_stand: bool) -> bool:
        """Whether the arm moves, by all that was measured so far: by more than 5 mm or 0.02 rad at a joint.

        Args:
            state: a measurement.
            has_to_stand: it was halted after robotkit may have moved it; what others do with it is theirs.
        """
        with self._lock:
            if not has_to_stand:
                self.begin_anew()
            elif self._recoveries != state.recoveries:
                self.begin_anew()
                self._recoveries, self._since_s, self._newest_s = state.recoveries, state.stamp_s, state.stamp_s
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
            self._tell(state)
        elif is_late:
            self._moves = False

    def _tell(self, state: RobotState) -> None:
        if self._stops != state.stops:
            self._stops, self._told = state.stops, 0
        if self._told < _TOLD_TIMES and state.stamp_s - self._told_s >= _TOLD_APART_S:
            self._told, self._told_s = self._told + 1, state.stamp_s
            self._tell_again()
