"""`DeviceTime`: stamps of a device on the cell's clock, so that an old measurement looks old."""

from __future__ import annotations

from robotkit import Clock

_DRIFT = 1e-4
"""By how much two clocks may run apart, seconds in a second."""


class DeviceTime:
    """The offset between both clocks is the smallest age that a packet has had on arrival.

    A packet that is read again keeps its stamp, however late it is read.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._device_s = self._offset_s = self._stamp_s = float("-inf")

    def on_cell_clock(self, device_s: float) -> float:
        """When, on the cell's clock, the device's clock showed `device_s`; never goes back, never is in the future."""
        offset_s = self._clock.now_s() - device_s
        elapsed_s = device_s - self._device_s
        if elapsed_s == 0.0:
            return self._stamp_s
        is_first = not 0.0 < elapsed_s < float("inf")  # or the device was started again
        self._offset_s = offset_s if is_first else min(offset_s, self._offset_s + _DRIFT * elapsed_s)
        self._device_s = device_s
        self._stamp_s = max(self._stamp_s, device_s + self._offset_s)
        return self._stamp_s
