"""`aside_logger`: a logger whose callers never wait, also while nobody reads the terminal or pipe behind the log."""

from __future__ import annotations

import _thread
import atexit
import logging
import os
from collections.abc import Callable
from logging.handlers import QueueHandler
from queue import SimpleQueue

WAITING_MAX = 1000
"""How many lines may wait; further ones are dropped, and counted."""
_DRAIN_S = 0.5
"""How long the end of the program waits for lines that are not written yet."""


def _to_handlers(record: logging.LogRecord) -> None:
    """Pass a record to its logger's handlers, as that logger would have done in the thread that logs."""
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)


class AsideHandler(QueueHandler):
    """A handler that has lines written by a thread of its own, which may wait for a terminal or a pipe.

    Nobody else waits for them.

    It may be used in a signal handler, also one that interrupts it: it takes no lock but re-entrant ones, for an
    instant.
    """

    queue: SimpleQueue[logging.LogRecord | Callable[[], object]]

    def __init__(self) -> None:
        super().__init__(SimpleQueue())
        self.write: Callable[[logging.LogRecord], object] = _to_handlers
        """Writes one line; called in the thread."""
        self.dropped = 0
        """How many lines were not written."""
        self._thread_is_of: int | None = None
        """The process in which the thread runs: a fork has none."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Put its text together, as what it speaks of is now; its exception stays one."""
        record.msg, record.args = record.getMessage(), None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Have a line written soon; where too many wait, count it."""
        if self.queue.qsize() >= WAITING_MAX:
            self.dropped += 1
            return
        self.queue.put_nowait(record)
        self.start()

    def do(self, work: Callable[[], object]) -> None:
        """Have the thread do something else that may wait for a terminal, in its turn."""
        self.queue.put(work)
        self.start()

    def start(self) -> None:
        """Begin the thread if there is none; by itself it begins with the first line."""
        process = os.getpid()
        if self._thread_is_of != process:
            self._thread_is_of = process
            try:
                # Not `threading.Thread`, whose start takes a lock that a signal handler's own thread may hold.
                _thread.start_new_thread(self._run, ())
            except RuntimeError:  # the process may have no more threads; the next line tries again
                self._thread_is_of = None

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (its name in logging)
        """Count it; what logging does by itself is written to the terminal at once."""
        self.dropped += 1

    def drain(self, limit_s: float = _DRAIN_S) -> None:
        """Wait until what waits now is written, at most `limit_s`."""
        if self._thread_is_of == os.getpid():
            is_open = _thread.allocate_lock()
            is_open.acquire()
            self.queue.put(is_open.release)
            is_open.acquire(timeout=limit_s)

    def _run(self) -> None:
        told = 0
        while True:
            item = self.queue.get()
            try:
                if not isinstance(item, logging.LogRecord):
                    item()
                    continue
                self.write(item)
                if self.dropped > told:
                    more, told = self.dropped - told, self.dropped
                    self.write(_line(logging.WARNING, f"{more} lines of the log were dropped: it was not written on"))
            except BaseException:  # whatever it is, the next line is written
                self.dropped += 1


def _line(level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, level, __file__, 0, text, None, None)


ASIDE = AsideHandler()
"""The handler of this process."""
atexit.register(ASIDE.drain)


class _AsideLogger(logging.Logger):
    """Passes on no line that the logger of its name would not: it would take the place of one that is written."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._named = logging.getLogger(name)
        self.addHandler(ASIDE)

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 (its name in logging)
        """True when a record of this level is logged, by the level of the logger of its name.

        It takes no lock, unlike that one's own answer.
        """
        return level >= self._named.getEffectiveLevel()


def aside_logger(name: str) -> logging.Logger:
    """`logging.getLogger(name)` for code that has an arm, or a lock that a stop needs: `ASIDE` has its lines written.

    Levels and handlers are those of the logger of that name.
    """
    return _AsideLogger(name)
