"""`Watch`: the threads that watch over an arm."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from robotkit.aside import aside_logger
from robotkit.devices.machine import STOP_WAIT_S
from robotkit.devices.words import said_of
from robotkit.errors import DeviceFault

_LOG = aside_logger(__name__)
_LONGEST_PAUSE_S = 0.01
"""How late a silence or a force is noticed at most; twenty times below the 0.2 s in which an orphaned arm must hold."""
_END_S = 1.0
"""How long an end waits for work that is under way."""


class Watch:
    """Calls each of `works` every 10 ms, or four times in `timeout_s` where that is shorter, from `start` to `stop`.

    Each has a thread of its own, by the name under which it is given: one that hangs keeps no other from its rounds.
    """

    def __init__(self, works: Mapping[str, Callable[[], None]], timeout_s: float | None) -> None:
        self._works = works
        self._pause_s = _LONGEST_PAUSE_S if timeout_s is None else min(_LONGEST_PAUSE_S, timeout_s / 4)
        self._rounds = dict.fromkeys(works, 0)
        self._lock = threading.Lock()
        self._running: tuple[list[threading.Thread], threading.Event] | None = None

    @property
    def rounds(self) -> int:
        """The smallest number of times that each of them has been called."""
        return min(self._rounds.values())

    def start(self) -> None:
        """Begin; again after a `stop`, too.

        Raises:
            DeviceFault: this process may begin no further thread; then none of them runs on.
        """
        with self._lock:
            if self._running is None:
                quit_ = threading.Event()
                threads = [
                    threading.Thread(target=self._run, args=(name, quit_), name=name, daemon=True)
                    for name in self._works
                ]
                try:
                    for thread in threads:
                        thread.start()
                except BaseException as error:
                    quit_.set()
                    raise DeviceFault(f"the watch over the arm cannot begin: {said_of(error)}") from error
                self._running = threads, quit_

    def stop(self, then: Callable[[], None] = lambda: None) -> None:
        """Begin no further round, do `then`, and wait for the work that is under way, but not for what hangs.

        `then` waits for that work for 50 ms at most.
        """
        with self._lock:
            running, self._running = self._running, None
        threads: list[threading.Thread] = []
        if running is not None:
            threads, quit_ = running
            quit_.set()
        try:
            try:
                _join(threads, STOP_WAIT_S)
            finally:  # also where Ctrl+C ends the wait
                then()
        finally:
            _join(threads, _END_S)

    def _run(self, name: str, quit_: threading.Event) -> None:
        is_failing = False
        while not quit_.wait(self._pause_s):
            try:
                self._works[name]()
                is_failing = False
            except BaseException:  # a watch that ends unseen would be worse than any fault of a driver
                if not is_failing:
                    _LOG.exception("the watch over the arm failed; it goes on, and says so again after a good round")
                is_failing = True
            self._rounds[name] += 1


def _join(threads: list[threading.Thread], wait_s: float) -> None:
    deadline_s = time.monotonic() + wait_s
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(max(0.0, deadline_s - time.monotonic()))
