"""Joint paths: their duration, and the joint positions at each time."""

from __future__ import annotations

import numpy as np

from sims.models.panda import VELOCITY_MAX_RAD_S

PATH_SPEED_SHARE = 0.5
"""Joint paths run at no more than this share of the joints' speed limits."""
PATH_TICK_S = 0.02


def path_duration_s(start_rad: np.ndarray, goal_rad: np.ndarray, rate_max_hz: float) -> float:
    """Time for the slowest joint, at no moment faster than `rate_max_hz` paths in a second.

    A minimum-jerk path peaks at 1.875 times its mean speed.
    """
    speed_rad_s = PATH_SPEED_SHARE * np.array(VELOCITY_MAX_RAD_S)
    slowest_s = float((1.875 * np.abs(goal_rad - start_rad) / speed_rad_s).max())
    return max(slowest_s, 1.875 / rate_max_hz, PATH_TICK_S)


def minimum_jerk(fraction: float) -> float:
    """Share of the way after a share of the time. Flash and Hogan 1985 (J. Neuroscience 5(7))."""
    s = min(fraction, 1.0)
    return s * s * s * (10.0 + s * (6.0 * s - 15.0))
