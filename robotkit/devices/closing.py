"""`Closing`: the disconnection of the devices beside an arm; one that hangs does not keep the arm connected."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from robotkit.aside import aside_logger
from robotkit.devices.bounded_calls import BoundedCalls
from robotkit.devices.device import Device

_LOG = aside_logger(__name__)

Failures = list[tuple[str, BaseException]]
"""The name of each device that did not disconnect, and what was raised."""

_ARM_WAITS_S, _NAMED_S, _CLOSED_S = 1.0, 1.5, 5.0
"""How long all of them together may take until the arm is disconnected, until the log names those that are left, and
until they are said to hang."""


class Closing:
    """Devices are closed one after the other, each in a thread of its own, and together within a bound."""

    def __init__(self) -> None:
        self._began_s: float | None = None
        self._under_way: list[tuple[str, BoundedCalls]] = []

    def require_over(self) -> None:
        """Let the devices be connected again.

        Raises:
            Overdue: one of them is still being closed: its driver would close what is opened now.
        """
        for _, calls in self._under_way:
            if (unanswered := calls.unanswered) is not None:
                raise unanswered
        self._began_s, self._under_way = None, []

    def close(self, beside: Sequence[Device], arm: Device | None) -> Failures:
        """Disconnect these devices and then the arm, and return what each of them has raised, the first of all first.

        One that takes longer than the arm may wait is waited for after the arm, until it is said to hang.
        """
        failures: Failures = []
        steps: list[tuple[str, Callable[[], object]]] = [
            (device.context.name, partial(self._begin, device)) for device in beside
        ]
        if arm is not None:
            steps.append((arm.context.name, arm.disconnect))
        steps.append(("", partial(self._finish, failures)))
        do_each(steps, failures)
        return failures

    def _begin(self, device: Device) -> None:
        if self._began_s is None:
            self._began_s = time.monotonic()
        name = device.context.name
        calls = BoundedCalls(f"{name} was told to disconnect", _CLOSED_S, self._left_s(_ARM_WAITS_S))
        self._under_way.append((name, calls))
        calls.command(device.disconnect)

    def _finish(self, failures: Failures) -> None:
        """Wait for the devices that have not been closed yet.

        The log names them first: the process may be ended before they are said to hang.
        """
        try:
            for _, calls in self._under_way:
                calls.wait_until_idle(self._left_s(_NAMED_S))
                if (unanswered := calls.unanswered) is not None:
                    _LOG.warning("the arm was not kept connected for it: %s", unanswered.message)
        finally:
            do_each([(name, partial(self._require_closed, calls)) for name, calls in self._under_way], failures)

    def _require_closed(self, calls: BoundedCalls) -> None:
        is_over = calls.wait_until_idle(self._left_s(_CLOSED_S))
        trouble = calls.late_error if is_over else calls.unanswered
        if trouble is not None:
            raise trouble

    def _left_s(self, limit_s: float) -> float:
        now_s = time.monotonic()
        return max(0.0, (now_s if self._began_s is None else self._began_s) + limit_s - now_s)


def do_each(steps: Sequence[tuple[str, Callable[[], object]]], failures: Failures) -> None:
    """Do every step, whatever another one raises, also Ctrl+C; what they raise is added to `failures`."""
    if not steps:
        return
    name, step = steps[0]
    try:
        try:
            step()
        except BaseException as error:
            failures.append((name, error))
    finally:
        do_each(steps[1:], failures)
