"""`BoundedCalls`: the calls to one device, which hold nobody up for longer than a bound."""

from __future__ import annotations

import _thread
import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from robotkit.devices.words import said_of
from robotkit.errors import DeviceFault

T = TypeVar("T")


class Overdue(DeviceFault):
    """A call that has begun has not returned yet."""


class BoundedCalls:
    """One call at a time, each in a thread of its own. One that hangs takes one thread, and none begins beside it.

    Args:
        doing: what the calls do, for a person: "the gripper takes its command".
        limit_s: how long a call is waited for, and the one before it.
    """

    def __init__(self, doing: str, limit_s: float) -> None:
        self._doing, self._limit_s = doing, limit_s
        self._free = threading.Lock()
        self._under_way: _Call | None = None

    @property
    def overdue(self) -> Overdue | None:
        """Why there is no answer from a call that has been under way for longer than the limit."""
        call = self._under_way
        if call is None or time.monotonic() - call.began_s < self._limit_s:
            return None
        return self._overdue(call)

    def call(self, what: Callable[[], T]) -> T:
        """What it returns or raises; a `SystemExit` of a driver is a fault of its device.

        Raises:
            DeviceFault: the call before it has not returned, and this one was not begun.
            Overdue: it has not returned within the limit.
        """
        before = self.overdue
        if before is not None or not self._free.acquire(timeout=self._limit_s):
            raise DeviceFault((before or self._overdue(self._under_way)).message)
        call = self._under_way = _Call(what)
        try:
            _thread.start_new_thread(self._run, (call,))
        except RuntimeError:  # the process may have no more threads
            self._run(call)
        if not call.is_over.wait(self._limit_s):
            raise self._overdue(call)
        if call.error is not None:
            raise call.error
        return call.value

    def _run(self, call: _Call) -> None:
        try:
            call.value = call.context.run(call.what)
        except Exception as error:
            call.error = error
        except BaseException as error:
            call.error = DeviceFault(said_of(error))
        self._under_way = None
        self._free.release()
        call.is_over.set()

    def _overdue(self, call: _Call | None) -> Overdue:
        since_s = self._limit_s if call is None else time.monotonic() - call.began_s
        return Overdue(
            f"{self._doing}, and its driver has not returned for {since_s:.1f} s. Look at the device and its cable; "
            "nothing else is asked of it until its driver returns"
        )


class _Call:
    def __init__(self, what: Callable[[], Any]) -> None:
        self.what, self.began_s = what, time.monotonic()
        self.context = contextvars.copy_context()
        self.is_over = threading.Event()
        self.value: Any = None
        self.error: Exception | None = None
