"""`DeviceCalls`: the calls to one arm's device that have not returned."""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from robotkit.errors import DeviceFault

HALT = "stop"


@dataclass(eq=False)
class DeviceCall:
    """One call that is in the device's driver."""

    name: str
    """Name of what the driver was called for; `HALT` alone begins no motion."""
    stops_seen: int | None
    """For a recovery and what it does, the number of stops that it was asked for after."""
    began_s: float = field(default_factory=time.monotonic)
    thread: int = field(default_factory=_thread.get_ident)

    def is_of_another_thread(self) -> bool:
        """Whether this thread can wait for it."""
        return self.thread != _thread.get_ident()

    @property
    def age_s(self) -> float:
        """How long it has been in the driver."""
        return time.monotonic() - self.began_s


class DeviceCalls:
    """Counts whatever has been called at the device of one arm, in any thread, until it has returned.

    A driver may carry a call out at any moment until it returns. So one that may begin a motion may outlive the halt of
    a stop or of a fault that came meanwhile; but for that of a recovery, which is to come after the stops that it has
    seen. No lock is taken: a stop from a signal handler comes between any two lines.

    Args:
        stops: how many stops have come.
    """

    def __init__(self, stops: Callable[[], int]) -> None:
        self._stops = stops
        self._under_way: set[DeviceCall] = set()
        self.begun: set[str] = set()
        """The names of those that may have begun a motion since the arm was connected."""
        self.on_begin: Callable[[], object] = lambda: None
        """Called when one that may begin a motion is counted, before the driver is called."""
        self.on_return: Callable[[], object] = lambda: None
        """Called when one that may outlive a halt has returned, and those that its thread has made in it."""

    @contextmanager
    def under_way(
        self, name: str, stops_seen: int | None = None, refusal: type[BaseException] | tuple[()] = ()
    ) -> Iterator[None]:
        """The driver is called inside.

        Args:
            name: what it is called for.
            stops_seen: of a recovery and of what it does: how many stops it was asked for after.
            refusal: what it raises when it has begun no motion.
        """
        call, is_first = DeviceCall(name, stops_seen), name not in self.begun
        try:
            self._under_way.add(call)
            if name != HALT:
                self.begun.add(name)
                self.on_begin()
            yield
        except refusal:
            if is_first:
                self.begun.discard(name)
            raise
        finally:
            try:
                if self._may_outlive_a_halt(call) and not self._is_within_another(call):
                    self.on_return()
            finally:
                self._under_way.discard(call)

    @property
    def has_begun(self) -> bool:
        """Whether one that may have begun a motion has come since the arm was connected."""
        return bool(self.begun)

    def outlive_a_halt(self, for_s: float = 0.0) -> bool:
        """Whether one is under way, for `for_s` at least, that may begin a motion after the device was halted."""
        return any(self._may_outlive_a_halt(call) and call.age_s >= for_s for call in tuple(self._under_way))

    def oldest(self, *, of_others: bool = False, with_halts: bool = False) -> DeviceCall | None:
        """The oldest that is under way, if any: of other threads only, also halts."""
        calls = [
            call
            for call in tuple(self._under_way)
            if (with_halts or call.name != HALT) and (not of_others or call.is_of_another_thread())
        ]
        return min(calls, key=lambda call: call.began_s, default=None)

    def _is_within_another(self, call: DeviceCall) -> bool:
        return any(
            other is not call and other.thread == call.thread and other.name != HALT for other in tuple(self._under_way)
        )

    def _may_outlive_a_halt(self, call: DeviceCall) -> bool:
        return call.name != HALT and (call.stops_seen is None or call.stops_seen != self._stops())


def call_in_time(call: Callable[[], object], wait_s: float) -> None:
    """Call in a thread of its own, and raise what it raises.

    Raises:
        DeviceFault: it has not returned after `wait_s`; one that has not begun by then does not begin any more.
    """
    is_over, is_late = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            if not is_late.is_set():
                call()
        except BaseException as error:
            errors.append(error)
        is_over.set()

    try:
        # Not `threading.Thread`, whose start takes a lock that a signal handler's own thread may hold.
        _thread.start_new_thread(run, ())
    except RuntimeError:  # the process may have no more threads
        run()
    has_returned = is_over.wait(wait_s)
    is_late.set()
    if errors:
        raise errors[0]
    if not has_returned:
        raise DeviceFault(f"the driver has not returned for {wait_s:.2f} s")
