"""The test for the end of a joint motion: the arm has stood near its goal for a time, whatever its speed signal is."""

from __future__ import annotations

import numpy as np

from robotkit.devices import Travel
from robotkit.devices.recent_places import RecentPlaces
from robotkit.drivers.franka.link import FrankaLink
from robotkit.errors import MotionFailed

_SETTLE_TIMEOUT_S = 2.0
"""Longest time to settle, in the arm's own time; its controller creeps over the last hundredths of a radian."""
_STILL_RAD_S = 0.02
"""Mean speed over a tenth of a second; the measured speed itself carries noise above it."""
_POLL_PERIOD_S = 0.005


def wait_until_settled(link: FrankaLink, goal_rad: np.ndarray, tolerance_rad: float, travel: Travel) -> None:
    """Return when every joint has stood within `tolerance_rad` of `goal_rad` (7,) for a tenth of a second.

    Raises:
        MotionFailed: it did not, or the travel has lost its right to move.
    """
    places, start_s = RecentPlaces(), link.read().time.to_sec()
    while True:
        state = link.read()
        now_s, off_rad = state.time.to_sec(), np.abs(state.q - goal_rad)
        places.add(now_s, state.q)
        way = places.newest_way()
        if way is not None and way.speed_rad_s <= _STILL_RAD_S and off_rad.max() <= tolerance_rad:
            return
        if now_s - start_s > _SETTLE_TIMEOUT_S:
            speed = "at a speed that is not known" if way is None else f"at {way.speed_rad_s:.3f} rad/s"
            raise MotionFailed(
                f"the joint motion ended {off_rad.max():.4f} rad from its goal at joint {off_rad.argmax() + 1} "
                f"(allowed: {tolerance_rad}), moving {speed} (allowed: {_STILL_RAD_S}) after {_SETTLE_TIMEOUT_S:g} s; "
                "the arm holds where it is"
            )
        travel.wait(_POLL_PERIOD_S)
        travel.require()
