"""`Halts`: brings one arm to rest, and repeats the halt that its device has not taken."""

from __future__ import annotations

import _thread
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from robotkit.devices.machine import ArmMachine
from robotkit.devices.words import said_of
from robotkit.errors import DeviceFault

_LOG = logging.getLogger(__name__)
REPEAT_S = 0.02
"""How long after a halt that the device has not taken it is told again."""
_PAUSE_S = 1.0
"""How long a recovery waits for a halt that is being repeated."""


class Halts:
    """A halt is owed until the device has taken it: told again every 20 ms while the arm is stopped or in a fault.

    One thread of the arm does that, and lives for as long as it is needed. A halt itself takes no lock: it may come
    from a signal handler, or go ahead of a call that hangs.

    Args:
        name: of the arm.
        machine: of the arm.
        halt: tells the device once, which has taken it when this returns.
        is_under_way: whether a call has not returned that may begin to move the arm after a halt.
        stands: asked while one is under way: whether the device says that it stands, and need not be told again.
    """

    def __init__(
        self,
        name: str,
        machine: ArmMachine,
        halt: Callable[[], None],
        is_under_way: Callable[[], bool] = lambda: False,
        stands: Callable[[], bool] = lambda: True,
    ) -> None:
        self._name, self._machine, self._halt = name, machine, halt
        self._is_under_way, self._stands = is_under_way, stands
        self._numbers = itertools.count()
        self._owed: set[int] = set()
        self._is_logged = False
        self._repeating = threading.Lock()
        # Held for an instant only; re-entrant for stops from signal handlers.
        self._starting = threading.RLock()
        self._has_thread = False

    @property
    def is_owed(self) -> bool:
        """Whether the device was told to halt, and has not taken it."""
        return bool(self._owed)

    def halt(self) -> None:
        """Tell the device to halt; when that raises it is told again, also after this has raised the same."""
        number = next(self._numbers)
        self._owed.add(number)
        try:
            self._halt()
        except BaseException as error:
            if not self._is_logged:
                self._is_logged = True
                _LOG.error(
                    "arm %r did not take a halt, and is told again until it does: %s", self._name, said_of(error)
                )
            raise
        else:
            self._settle(number)
        finally:
            self.repeat()

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

    def forget(self) -> None:
        """The device has been closed, or made to hold: what was owed before is owed no more."""
        self._settle(next(self._numbers))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No halt is repeated inside, where the arm is made to hold; what was owed before is forgotten when it does.

        Raises:
            DeviceFault: one that is being repeated does not return.
        """
        if not self._repeating.acquire(timeout=_PAUSE_S):
            raise DeviceFault(
                f"arm {self._name!r} has been told to halt, and its driver does not return; wait until it does, then "
                "call recover() again, or reconnect the arm"
            )
        try:
            before = next(self._numbers)
            yield
            self._settle(before)
        finally:
            self._repeating.release()

    def _settle(self, newest: int) -> None:
        for number in tuple(self._owed):
            if number <= newest:
                self._owed.discard(number)
        if self._is_logged and not self._owed:
            self._is_logged = False
            _LOG.warning("no halt of arm %r is owed any more", self._name)

    def _is_needed(self) -> bool:
        machine = self._machine
        is_over = machine.is_connected and (machine.stop is not None or machine.fault is not None)
        return is_over and (self.is_owed or self._is_under_way())

    def _run(self) -> None:
        while True:
            time.sleep(REPEAT_S)
            with self._starting:
                if not self._is_needed():
                    self._has_thread = False
                    return
            if self.is_owed or not self._stands():
                self._tell_again()

    def _tell_again(self) -> None:
        """Not in a recovery, which must not be followed by a halt that belongs before it."""
        with self._repeating, self._machine.hurried(), suppress(BaseException):
            if self._is_needed():
                self.halt()
