"""`ExposureClock`: the exposure time of a RealSense frame, on the cell's clock."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from robotkit.clock import Clock
from robotkit.drivers.realsense_sdk import rs

_LATENCY_MIN_S, _LATENCY_MAX_S = -0.05, 1.0
"""A smaller or a larger one says that a clock was set; slightly negative ones come from the estimate of the offset."""
_WINDOW_S = 5.0
"""Crystals drift by up to 50 ppm against each other: a quarter of a millisecond in this time."""


class ExposureClock:
    """Subtracts the time that a frame was under way from its arrival: a stamp is never later, and never goes back.

    librealsense stamps frames with the host's wall clock (domains global_time and system_time) or with the camera's
    own (hardware_clock), whose offset is that of the frame that was under way for the shortest time. The metadata tell,
    where the kernel passes them on, how long before its stamp the middle of the exposure was.

    Args:
        clock: the cell's; in lock-step, where no time passes between exposure and arrival, it is the stamp.
        wall_s: the host's wall clock in seconds since 1970.
    """

    def __init__(self, clock: Clock, wall_s: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._wall_s = wall_s
        self._stamp_s = -math.inf
        self.restart()

    def restart(self) -> None:
        """Forget the offset of the camera's clock, which starts again with the camera."""
        self._latency_s = 0.0
        self._offsets_s: deque[tuple[float, float]] = deque()

    def stamp_s(self, frame: Any) -> float:
        """The exposure time of `frame`, which has just arrived."""
        arrived_s = self._clock.now_s()
        if self._clock.is_lockstep:
            return arrived_s
        latency_s = self._since_stamp_s(frame, arrived_s) + _stamp_since_exposure_s(frame)
        if _LATENCY_MIN_S <= latency_s <= _LATENCY_MAX_S:
            self._latency_s = max(0.0, latency_s)
        self._stamp_s = max(self._stamp_s, arrived_s - self._latency_s)
        return self._stamp_s

    def _since_stamp_s(self, frame: Any, arrived_s: float) -> float:
        """Time from the frame's own stamp, in milliseconds, to its arrival."""
        stamped_s: float = frame.get_timestamp() * 1e-3
        if frame.get_frame_timestamp_domain() != rs.timestamp_domain.hardware_clock:
            return self._wall_s() - stamped_s
        offset_s = arrived_s - stamped_s
        self._offsets_s.append((arrived_s, offset_s))
        while arrived_s - self._offsets_s[0][0] > _WINDOW_S:
            self._offsets_s.popleft()
        return offset_s - min(offset for _, offset in self._offsets_s)


def _stamp_since_exposure_s(frame: Any) -> float:
    """Time from the middle of the exposure to the readout, at which the frame is stamped; 0 without metadata."""
    readout, exposure = rs.frame_metadata_value.frame_timestamp, rs.frame_metadata_value.sensor_timestamp
    if not (frame.supports_frame_metadata(readout) and frame.supports_frame_metadata(exposure)):
        return 0.0
    passed_us: int = frame.get_frame_metadata(readout) - frame.get_frame_metadata(exposure)
    return max(0.0, passed_us * 1e-6)
