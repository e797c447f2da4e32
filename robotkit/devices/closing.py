"""`Closing`: the disconnection of the devices beside an arm; one that hangs does not keep the arm connected."""

from __future__ import annotations

import time

from robotkit.aside import aside_logger
from robotkit.devices.bounded_calls import BoundedCalls
from robotkit.devices.device import Device

_LOG = aside_logger(__name__)

_ARM_WAITS_S, _NAMED_S, _CLOSED_S = 1.0, 1.5, 5.0
"""How long all of them together may take until the arm is disconnected, until the log names those that are left, and
until they are said to hang."""


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
            if (unanswered := calls.unanswered) is not None:
                raise unanswered
        self._began_s, self._under_way = None, []

    def close(self, device: Device) -> None:
        """Disconnect a device; one that takes longer than the arm may wait is waited for in `finish`.

        Raises:
            Exception: as its `disconnect` does while it is waited for.
        """
        if self._began_s is None:
            self._began_s = time.monotonic()
        calls = BoundedCalls(f"{device.context.name} was told to disconnect", _CLOSED_S, self._left_s(_ARM_WAITS_S))
        self._under_way.append(calls)
        calls.command(device.disconnect)

    def finish(self) -> None:
        """Wait for the devices that have not been closed yet; of several errors the last has the others as its context.

        The log names them first: the process may be ended before they are said to hang.

        Raises:
            Overdue: one has not been closed in time.
            Exception: as the `disconnect` of one of them does.
        """
        try:
            for calls in self._under_way:
                calls.wait_until_idle(self._left_s(_NAMED_S))
                if (unanswered := calls.unanswered) is not None:
                    _LOG.warning("the arm was not kept connected for it: %s", unanswered.message)
        finally:
            self._finish(self._under_way)

    def _finish(self, under_way: list[BoundedCalls]) -> None:
        if not under_way:
            return
        calls = under_way[0]
        try:
            is_over = calls.wait_until_idle(self._left_s(_CLOSED_S))
            trouble = calls.late_error if is_over else calls.unanswered
            if trouble is not None:
                raise trouble
        finally:
            self._finish(under_way[1:])

    def _left_s(self, limit_s: float) -> float:
        now_s = time.monotonic()
        return max(0.0, (now_s if self._began_s is None else self._began_s) + limit_s - now_s)
