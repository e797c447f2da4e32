"""`Halts`: brings one arm to rest, and repeats the halt that its device has not taken."""

from __future__ import annotations

import _thread
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field

from robotkit.aside import aside_logger
from robotkit.devices.calls import DeviceCall, call_in_time
from robotkit.devices.machine import ArmMachine
from robotkit.devices.words import said_of
from robotkit.errors import DeviceFault

_LOG = aside_logger(__name__)
REPEAT_S = 0.02
"""How long after a halt that the device has not taken it is told again."""
OVERDUE_S = 0.5
"""How long a halt may take until it is owed: younger ones are under way, and nobody tells the device beside them."""
_PAUSE_S = 1.0
"""How long a recovery waits for halts that are under way."""
CLOSING_S = 1.0
"""How long a device that has to be closed is told to halt before, while it has not taken that or may begin to move."""
_POLL_PERIOD_S = 0.002
"""How often who waits for a halt looks whether it is over: without a lock that a signal handler could wait for."""


@dataclass(eq=False)
class _Telling:
    """A halt that was asked for and has not ended."""

    number: int
    """The place of its request, and once it has begun of its beginning, among all halts and recoveries of the arm."""
    began_s: float = math.inf
    """Time at which the call began, in monotonic seconds; infinite until then."""
    thread: int = field(default_factory=_thread.get_ident)

    def is_of_another_thread(self) -> bool:
        return self.thread != _thread.get_ident()

    def is_overdue(self) -> bool:
        return time.monotonic() - self.began_s >= OVERDUE_S

    def is_young(self) -> bool:
        return self.began_s < math.inf and not self.is_overdue()


class Halts:
    """The halt of one arm, repeated every 20 ms until the device takes it, while the arm is stopped or in a fault.

    It is owed once the device has raised, or has not returned for 0.5 s. Until then it is under way: who asks for
    another one meanwhile waits, and one call that began after all of them does for all. One thread of the arm repeats
    what is owed, and what a call that is in the driver may outlive; it lives for as long as it is needed. A halt itself
    takes no lock: it may come from a signal handler, which tells the device within a halt of its own thread, or go
    ahead of a call that hangs.

    Args:
        name: of the arm.
        machine: of the arm.
        halt: tells the device once, which has taken it when this returns.
    """

    def __init__(self, name: str, machine: ArmMachine, halt: Callable[[], None]) -> None:
        self._name, self._machine, self._halt = name, machine, halt
        self._numbers = itertools.count()
        self._settled = -1
        self._tellings: set[_Telling] = set()
        self._refused: set[int] = set()
        self._is_logged = False
        self._asked = -1  # when somebody asked for one more, which another thread tells
        self._is_outlived = False  # a call was in the driver when the device took its last halt
        self._stops_seen: int | None = None  # by the recovery that has paused the halts
        self._repeating = threading.Lock()
        # Held for an instant only; re-entrant for stops from signal handlers.
        self._starting = threading.RLock()
        self._has_thread = False

    @property
    def is_owed(self) -> bool:
        """Whether the device was told to halt, and has refused it or has had it for too long."""
        return bool(self._refused) or any(one.is_overdue() for one in self._unsettled())

    def halt(self, within_s: float | None = None) -> None:
        """Tell the device to halt; when that raises it is told again, also after this has raised the same.

        Args:
            within_s: the device is told in another thread, and raises a `DeviceFault` when it does not return in time.
        """
        telling = _Telling(next(self._numbers))
        try:
            self._tellings.add(telling)
            if self._begin(telling):
                self._tell(telling.number, within_s)
        finally:
            self._tellings.discard(telling)
            self.repeat()

    def _begin(self, telling: _Telling) -> bool:
        """Wait while another thread tells the device; False when one that began after this was asked for has done."""
        while True:
            with self._starting:
                if self._settled > telling.number:
                    return False
                if not self._is_being_told():
                    telling.number, telling.began_s = next(self._numbers), time.monotonic()
                    return True
            self._await(lambda: self._settled > telling.number or not self._is_being_told(), math.inf)

    def _tell(self, number: int, within_s: float | None) -> None:
        is_outlived = self._machine.calls.oldest(of_others=True) is not None
        try:
            if within_s is None:
                self._halt()
            else:
                call_in_time(self._halt, within_s)
        except BaseException as error:
            if number > self._settled:
                self._refused.add(number)
            if not self._is_logged:
                self._is_logged = True
                _LOG.error(
                    "arm %r did not take a halt, and is told again until it does: %s", self._name, said_of(error)
                )
            raise
        else:
            self._is_outlived = is_outlived
            self._settle(number)

    def repeat(self) -> None:
        """Let a halt that is owed be repeated, if nobody does so yet; also one that does not return."""
        if not self._is_needed():
            return
        with self._starting:
            if not self._has_thread:
                with suppress(RuntimeError):  # the process may have no more threads; the watch asks again
                    # Not `threading.Thread`, whose start takes a lock that a signal handler's own thread may hold.
                    _thread.start_new_thread(self._run, ())
                    self._has_thread = True

    def finish(self, within_s: float | None) -> None:
        """Halt the device, before it is closed, until it has taken that, and no call of others outlives it, within 1 s.

        Args:
            within_s: as for `halt`.
        """
        end_s = time.monotonic() + CLOSING_S
        calls = self._machine.calls
        while (self.is_owed or self._is_outlived) and time.monotonic() < end_s:
            self._await(lambda: self._is_outlived and calls.oldest(of_others=True) is None, time.monotonic() + REPEAT_S)
            with suppress(Exception):
                self.halt(within_s)
        if self._repeating.acquire(timeout=max(0.0, end_s - time.monotonic())):
            self._repeating.release()  # what was being told again has been told
        if self.is_owed or self._is_outlived:
            call = calls.oldest(of_others=True)
            _LOG.error(
                "arm %r is disconnected although its driver has not %s for %g s: THE DEVICE MAY STILL MOVE. Use the "
                "hardware stop",
                self._name,
                "taken the halt" if self.is_owed or call is None else f"returned from {call.name}()",
                CLOSING_S,
            )

    def forget(self) -> None:
        """The device has been closed, or made to hold: what was owed before is owed no more."""
        self._is_outlived = False
        self._settle(next(self._numbers))

    def tell_once_more(self) -> None:
        """Have the device told once more, by another thread; one that begins from now on will do."""
        self._asked = next(self._numbers)
        self.repeat()

    def await_calls(self, wait_s: float, *, with_halts: bool = False) -> DeviceCall | None:
        """Wait for the calls of other threads that are in the driver; the oldest that is left, also of this thread."""
        calls = self._machine.calls
        self._await(lambda: calls.oldest(of_others=True, with_halts=with_halts) is None, time.monotonic() + wait_s)
        return calls.oldest(with_halts=with_halts)

    @contextmanager
    def paused(self, stops_seen: int | None = None) -> Iterator[None]:
        """Keep earlier halts from being told inside, where the arm is made to hold.

        What was owed is forgotten when it does.

        Args:
            stops_seen: how many stops are earlier; None: those that have come by now.

        Raises:
            DeviceFault: one that is under way does not return.
        """
        deadline_s = time.monotonic() + _PAUSE_S
        if not self._repeating.acquire(timeout=_PAUSE_S):
            raise self._does_not_return()
        try:
            if not self._await(lambda: not self._is_of_others(), deadline_s):
                raise self._does_not_return()
            self._stops_seen = self._machine.stops if stops_seen is None else stops_seen
            self._is_outlived = self._machine.calls.oldest(of_others=True) is not None
            before = next(self._numbers)
            yield
            self._settle(before)
        finally:
            self._stops_seen = None
            self._repeating.release()

    def _await(self, is_over: Callable[[], bool], deadline_s: float) -> bool:
        """Wait until something is over; False when it is not by `deadline_s`, in monotonic seconds."""
        while not is_over():
            if time.monotonic() > deadline_s:
                return False
            time.sleep(_POLL_PERIOD_S)
        return True

    def _is_of_others(self) -> bool:
        return any(one.is_of_another_thread() for one in self._unsettled())

    def _does_not_return(self) -> DeviceFault:
        return DeviceFault(
            f"arm {self._name!r} has been told to halt, and its driver does not return; wait until it does, then "
            "call recover() again, or disconnect the arm, which closes its driver"
        )

    def _settle(self, newest: int) -> None:
        with self._starting:
            self._settled = max(self._settled, newest)
        for number in tuple(self._refused):
            if number <= newest:
                self._refused.discard(number)
        if self._is_logged and not self.is_owed:
            self._is_logged = False
            _LOG.warning("no halt of arm %r is owed any more", self._name)

    def _unsettled(self) -> list[_Telling]:
        return [one for one in tuple(self._tellings) if one.number > self._settled]

    def _is_being_told(self) -> bool:
        return any(one.is_young() and one.is_of_another_thread() for one in tuple(self._tellings))

    def _is_down(self) -> bool:
        machine = self._machine
        return machine.is_connected and (machine.stop is not None or machine.fault is not None)

    def _is_needed(self) -> bool:
        is_asked = self._asked > self._settled
        return self._is_down() and (is_asked or self.is_owed or self._machine.calls.outlive_a_halt())

    def _run(self) -> None:
        while True:
            time.sleep(REPEAT_S)
            with self._starting:
                if not self._is_needed():
                    self._has_thread = False
                    return
            if not self._is_being_told():
                self._tell_again()

    def _tell_again(self) -> None:
        """Tell the halt again.

        It is not told in a recovery that no stop has overtaken, which must not be followed by a halt that belongs
        before it.
        """
        has_turn = self._repeating.acquire(blocking=False)
        try:
            if has_turn or self._stops_seen not in (None, self._machine.stops):
                # Who is in the driver may have the lock.
                is_in_the_way = self._machine.calls.outlive_a_halt()
                with nullcontext() if is_in_the_way else self._machine.hurried(), suppress(BaseException):
                    if self._is_needed():
                        self.halt()
        finally:
            if has_turn:
                self._repeating.release()
