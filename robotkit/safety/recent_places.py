"""`RecentPlaces`: how fast an arm has really moved in the last tenth of a second."""

from __future__ import annotations

from collections import deque

import numpy as np

from robotkit.schema import RobotState

_APART_S, _WINDOW_S, _OLDEST_S = 0.01, 0.1, 0.3


class RecentPlaces:
    """Keeps the joint positions of the last tenths of a second, one in 10 ms."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, np.ndarray]] = deque(maxlen=round(_OLDEST_S / _APART_S) + 1)

    def add(self, state: RobotState) -> None:
        """Keep where the arm is, unless a place of just before is kept."""
        seen, stamp_s = self._seen, state.stamp_s
        if seen and not 0.0 <= stamp_s - seen[-1][0] <= _OLDEST_S:
            seen.clear()  # another connection, or a gap
        if not seen or stamp_s - seen[-1][0] >= _APART_S:
            seen.append((stamp_s, state.joint_positions_rad))

    def speed_rad_s(self, state: RobotState) -> float | None:
        """Mean speed (rad/s) of the fastest joint until `state`; None where the arm was not measured so long."""
        for stamp_s, joints_rad in reversed(tuple(self._seen)):
            elapsed_s = state.stamp_s - stamp_s
            if _WINDOW_S <= elapsed_s <= _OLDEST_S:
                return float(np.abs(state.joint_positions_rad - joints_rad).max()) / elapsed_s
        return None
