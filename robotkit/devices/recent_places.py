"""`RecentPlaces`: whether an arm moves, and how fast, from where it was measured in the last tenths of a second."""

from __future__ import annotations

import math
import threading
from typing import NamedTuple

import numpy as np

_APART_S = 0.01


class Way(NamedTuple):
    """The motion of the joints from one measurement to another."""

    span_s: float
    largest_rad: float
    """Distance between the two places farthest apart of the joint that went farthest, wherever it ended."""
    speed_rad_s: float
    """Mean speed of the joint that is farthest from where it began, in the mean."""


class RecentPlaces:
    """Keeps joint positions, one in 10 ms and the newest; speeds that are measured carry noise, or are not measured.

    Threads whose measurements overlap add in any order: one that was overtaken is left out.

    Args:
        window_s: a way is looked at over so long, in the arm's own time.
        oldest_s: and over no more than so long, where the arm was not measured meanwhile.
    """

    def __init__(self, window_s: float = 0.1, oldest_s: float = 0.3) -> None:
        self._window_s, self._oldest_s = window_s, oldest_s
        self._seen: tuple[tuple[float, np.ndarray], ...] = ()
        self._lock = threading.RLock()  # a signal handler may measure between any two lines

    def add(self, stamp_s: float, joints_rad: np.ndarray) -> None:
        """Keep where the arm was measured; a measurement that is repeated tells nothing new."""
        with self._lock:
            seen = self._seen
            ahead_s = seen[-1][0] - stamp_s if seen else -math.inf
            if 0.0 <= ahead_s <= self._oldest_s:
                return
            if ahead_s > 0.0:  # the stamps began anew
                seen = ()
            if len(seen) > 1 and seen[-1][0] - seen[-2][0] < _APART_S:
                seen = seen[:-1]
            recent = (place for place in seen if stamp_s - place[0] <= self._oldest_s)
            self._seen = (*recent, (stamp_s, joints_rad))

    def newest_way(self) -> Way | None:
        """The motion over the window that ends with the newest measurement.

        It is None where the arm was not measured so long.
        """
        seen = self._seen
        for first in range(len(seen) - 1, -1, -1):
            span_s = seen[-1][0] - seen[first][0]
            if span_s >= self._window_s:
                places_rad = np.array([joints_rad for _, joints_rad in seen[first:]])
                largest_rad = float(np.ptp(places_rad, axis=0).max())
                return Way(span_s, largest_rad, float(np.abs(places_rad[-1] - places_rad[0]).max()) / span_s)
        return None
