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
        limit_s: from how long on a call hangs: it is told, and nothing else is asked of the device.
        wait_s: how long a command is waited for; `limit_s` by default.
    """

    def __init__(self, doing: str, limit_s: float, wait_s: float | None = None) -> None:
        self._doing, self._limit_s = doing, limit_s
        self._wait_s = limit_s if wait_s is None else wait_s
        self._changing = threading.RLock()  # a signal handler may ask between any two lines
        self._under_way: _Call | None = None
        self._next: _Call | None = None
        self._late_error: Exception | None = None

    @property
    def overdue(self) -> Overdue | None:
        """Why there is no answer from a call that has been under way for longer than the limit."""
        call = self._under_way
        return self._overdue(call) if call is not None and call.age_s >= self._limit_s else None

    @property
    def unanswered(self) -> Overdue | None:
        """The same of a call that has been under way for any time."""
        call = self._under_way
        return None if call is None else self._overdue(call)

    @property
    def late_error(self) -> Exception | None:
        """What the newest command has raised after it was waited for."""
        return self._late_error

    def call(self, what: Callable[[], T]) -> T:
        """What it returns or raises; a `SystemExit` of a driver is a fault of its device.

        Raises:
            DeviceFault: the call before it has not returned, and this one was not begun.
            Overdue: it has not returned within the limit.
        """
        call, end_s = _Call(what), time.monotonic() + self._limit_s
        self._require_no_overdue()
        while not self._took(call):
            before = self._under_way
            if before is not None and not before.is_over.wait(max(0.0, end_s - time.monotonic())):
                raise DeviceFault(self._overdue(before).message)
        self._start(call)
        if not call.is_over.wait(self._limit_s):
            raise self._overdue(call)
        if call.error is not None:
            raise call.error
        return call.value

    def command(self, what: Callable[[], object]) -> None:
        """Have it done, and wait for it; what takes longer goes on, and of what waits behind it the newest is done.

        Raises:
            DeviceFault: a call before it hangs, and this one will not be done.
            Exception: what it raises while it is waited for; later it is `late_error`, until the next command.
        """
        self._require_no_overdue()
        self._late_error, call = None, _Call(what)
        with self._changing:
            is_first = self._took(call)
            if not is_first:
                replaced, self._next = self._next, call
                if replaced is not None:
                    replaced.is_over.set()
        if is_first:
            self._start(call)
        if not call.is_over.wait(self._wait_s):
            with self._changing:
                call.is_left = not call.is_over.is_set()
        if not call.is_left and call.error is not None:
            raise call.error

    def _require_no_overdue(self) -> None:
        overdue = self.overdue
        if overdue is not None:
            raise DeviceFault(overdue.message)

    def _took(self, call: _Call) -> bool:
        """True when nothing is under way, and `call` is from now on."""
        with self._changing:
            if self._under_way is None:
                self._under_way = call
            return self._under_way is call

    def _start(self, call: _Call) -> None:
        try:
            _thread.start_new_thread(self._run, (call,))
        except RuntimeError:  # the process may have no more threads
            self._run(call)

    def _run(self, call: _Call | None) -> None:
        while call is not None:
            call.began_s = time.monotonic()
            call.run()
            with self._changing:
                if call.is_left and self._next is None:
                    self._late_error = call.error
                done, call = call, self._next
                self._next, self._under_way = None, call
                done.is_over.set()

    def _overdue(self, call: _Call) -> Overdue:
        return Overdue(
            f"{self._doing}, and its driver has not returned for {call.age_s:.1f} s. Look at the device and its cable; "
            "nothing else is asked of it until its driver returns"
        )


class _Call:
    def __init__(self, what: Callable[[], Any]) -> None:
        self._what, self.began_s = what, time.monotonic()
        self._context = contextvars.copy_context()
        self.is_over = threading.Event()
        self.is_left = False
        """True once nobody waits for it any more."""
        self.value: Any = None
        self.error: Exception | None = None

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.began_s

    def run(self) -> None:
        try:
            self.value = self._context.run(self._what)
        except Exception as error:
            self.error = error
        except BaseException as error:
            self.error = DeviceFault(said_of(error))
