"""`SpeedBudget`: a token bucket that bounds how far targets move in time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

_ROUNDING = 1.0 + 1e-9


class SpeedBudget:
    """A budget of motion: in any interval the targets move at most speed * (interval + window).

    Unused time counts up to `window_s`: a command that came late may make up for it, a burst may not go farther. The
    budget is refilled by time alone; no hold, stop or new connection refills it.

    Args:
        speed: m/s or rad/s; an array bounds each joint by itself.
        window_s: how much unused time counts.
    """

    def __init__(self, speed: float | np.ndarray, window_s: float) -> None:
        self._window_s = window_s
        self.speed = speed
        self._most = speed * window_s
        self._left = self._most
        self._counted_s = math.inf
        self._offered_s, self._offered = math.nan, self._most
        # Python's own functions take a tenth of the time of numpy's on single numbers.
        is_single = isinstance(speed, float)
        self._least: Callable[[Any, Any], float | np.ndarray] = min if is_single else np.minimum
        self._greatest: Callable[[Any, Any], float | np.ndarray] = max if is_single else np.maximum

    def change_speed(self, speed: float | np.ndarray) -> None:
        """Go on with another speed for each of the same joints; what was spent stays spent."""
        spent = self._most - self._left
        self.speed, self._most = speed, speed * self._window_s
        self._left, self._offered_s = self._greatest(self._most - spent, 0.0), math.nan

    def left(self, now_s: float) -> float | np.ndarray:
        """Distance that a target may move now, in m or rad."""
        return self._least(self._most, self._left + self.speed * max(0.0, now_s - self._counted_s))

    def allows(self, distance: float | np.ndarray, now_s: float) -> bool:
        """True when a target may move this far now; a NaN may not."""
        # Kept for `spend`, which follows at the same time for a target that was allowed.
        self._offered_s, self._offered = now_s, self.left(now_s)
        is_allowed = distance <= self._offered * _ROUNDING
        return is_allowed if isinstance(is_allowed, bool) else bool(is_allowed.all())

    def spend(self, distance: float | np.ndarray, now_s: float) -> None:
        """A target that was allowed has moved this far."""
        left = self._offered if now_s == self._offered_s else self.left(now_s)
        self._left, self._counted_s, self._offered_s = self._greatest(left - distance, 0.0), now_s, math.nan
