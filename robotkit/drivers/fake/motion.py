"""The motion of the fake arm's joints as pure functions of time, so that a reading never changes the motion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tracking:
    """First-order approach from `start` to `goal`, shape (n,): the error falls to 1/e every `time_constant_s`."""

    start: np.ndarray
    goal: np.ndarray
    start_s: float
    time_constant_s: float

    def at(self, time_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions and velocities, shape (n,) each."""
        error = (self.start - self.goal) * math.exp(-(time_s - self.start_s) / self.time_constant_s)
        return self.goal + error, -error / self.time_constant_s


PATH_PEAK = 1.5
"""Highest speed of a `Path`, in mean speeds."""


@dataclass(frozen=True)
class Path:
    """A joint path from rest to rest in `duration_s`: the smooth step 3 s^2 - 2 s^3."""

    start: np.ndarray
    goal: np.ndarray
    start_s: float
    duration_s: float

    def at(self, time_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions and velocities, shape (n,) each."""
        s = min(1.0, (time_s - self.start_s) / self.duration_s)
        way = self.goal - self.start
        return self.start + way * (s * s * (3 - 2 * s)), way * (6 * s * (1 - s) / self.duration_s)


Motion = Tracking | Path
