"""`Watch`: the thread that watches over an arm."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

_LOG = logging.getLogger(__name__)
_LONGEST_PAUSE_S = 0.01
"""How late a silence or a force is noticed at most; twenty times below the 0.2 s in which an orphaned arm must hold."""


class Watch:
    """Calls `work` every 10 ms, or four times in `timeout_s` where that is shorter, from `start` to `stop`."""

    def __init__(self, work: Callable[[], None], timeout_s: float | None) -> None:
        self._work = work
        self._pause_s = _LONGEST_PAUSE_S if timeout_s is None else min(_LONGEST_PAUSE_S, timeout_s / 4)
        self.rounds = 0
        """How often it has been called."""
        self._running: tuple[threading.Thread, threading.Event] | None = None

    def start(self) -> None:
        """Begin; again after a `stop`, too."""
        if self._running is None:
            quit_ = threading.Event()
            thread = threading.Thread(target=self._run, args=(quit_,), name="robotkit-watchdog", daemon=True)
            self._running = thread, quit_
            thread.start()

    def stop(self) -> None:
        """End, and wait for the work that is under way."""
        running, self._running = self._running, None
        if running is not None:
            thread, quit_ = running
            quit_.set()
            if thread is not threading.current_thread():
                thread.join()

    def _run(self, quit_: threading.Event) -> None:
        while not quit_.wait(self._pause_s):
            try:
                self._work()
            except Exception:  # a watch that ends unseen would be worse than any fault of a driver
                _LOG.exception("the watch over the arm failed; it goes on")
            self.rounds += 1
