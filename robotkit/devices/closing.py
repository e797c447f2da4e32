"""`Closing`: the disconnection of the devices beside an arm; one that hangs does not keep the arm connected."""

from __future__ import annotations

import time

from robotkit.devices.bounded_calls import BoundedCalls
from robotkit.devices.device import Device

_ARM_WAITS_S, _CLOSED_S = 1.0, 5.0
"""How long all of them together may take until the arm is disconnected, and until they are said to hang."""


class Closing:
    """Devices are closed one after the other, each in a thread of its own, and together within a bound."""

    def __init__(self) -> None:
        self._began_s: float | None = None
        self._under_way: list[BoundedCalls] = []

    def require_over(self) -> None:
        """Let the devices be connected again.

        Raises:
            Overdue: one of them is still being closed: its driver would close what is opened now.
        """
        for calls in self._under_way:
            if calls.unanswered is not None:
                raise calls.unanswered
        self._began_s, self._under_way = None, []

    def close(self, device: Device) -> None:
        """Disconnect a device; one that takes longer than the arm may wait is waited for in `finish`.

        Raises:
            Exception: as its `disconnect` does while it is waited for.
        """
        now_s = time.monotonic()
        self._began_s = began_s = now_s if self._began_s is None else self._began_s
        doing, wait_s = f"{device.context.name} was told to disconnect", max(0.0, began_s + _ARM_WAITS_S - now_s)
        calls = BoundedCalls(doing, _CLOSED_S, wait_s)
        self._under_way.append(calls)
        calls.command(device.disconnect)

    def finish(self) -> None:
        """Wait for the devices that have not been closed yet; of several errors the last has the others as its context.

        Raises:
            Overdue: one has not been closed in time.
            Exception: as the `disconnect` of one of them does.
        """
        self._finish(self._under_way)

    def _finish(self, under_way: list[BoundedCalls]) -> None:
        if not under_way:
            return
        began_s = time.monotonic() if self._began_s is None else self._began_s
        calls = under_way[0]
        try:
            is_over = calls.wait_until_idle(max(0.0, began_s + _CLOSED_S - time.monotonic()))
            trouble = calls.late_error if is_over else calls.unanswered
            if trouble is not None:
                raise trouble
        finally:
            self._finish(under_way[1:])
