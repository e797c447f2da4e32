"""The test for the end of a joint motion: the arm has stood near its goal for a time, whatever its speed signal is."""

from __future__ import annotations

from collections import deque

import numpy as np

from robotkit.devices import Travel
from robotkit.drivers.franka.link import FrankaLink
from robotkit.errors import MotionFailed

_SETTLE_TIMEOUT_S = 2.0
"""In the arm's own time; its controller creeps over the last hundredths of a radian."""
_WINDOW_S = 0.1
_STILL_RAD_S = 0.02
"""Mean speed over the window; the measured speed itself carries noise above it."""
_POLL_PERIOD_S = 0.005


def wait_until_settled(link: FrankaLink, goal_rad: np.ndarray, tolerance_rad: float, travel: Travel) -> None:
    """Return when every joint has stood within `tolerance_rad` of `goal_rad` (7,) for the window.

    Raises:
        MotionFailed: it did not, or the travel has lost its right to move.
    """
    seen: deque[tuple[float, np.ndarray]] = deque()
    start_s: float | None = None
    while True:
        state = link.read()
        now_s, joints_rad = state.time.to_sec(), state.q
        start_s = now_s if start_s is None else start_s
        seen.append((now_s, joints_rad))
        while len(seen) > 1 and now_s - seen[1][0] >= _WINDOW_S:
            seen.popleft()
        window_s = now_s - seen[0][0]
        off_rad = np.abs(joints_rad - goal_rad)
        speed_rad_s = float(np.abs(joints_rad - seen[0][1]).max()) / max(window_s, _WINDOW_S)
        if window_s >= _WINDOW_S and speed_rad_s <= _STILL_RAD_S and off_rad.max() <= tolerance_rad:
            return
        if now_s - start_s > _SETTLE_TIMEOUT_S:
            raise MotionFailed(
                f"the joint motion ended {off_rad.max():.4f} rad from its goal at joint {off_rad.argmax() + 1} "
                f"(allowed: {tolerance_rad}), moving at {speed_rad_s:.3f} rad/s (allowed: {_STILL_RAD_S}) after "
                f"{_SETTLE_TIMEOUT_S:g} s; the arm holds where it is"
            )
        travel.wait(_POLL_PERIOD_S)
        travel.require()
