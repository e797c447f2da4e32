"""`end_within`: ends this process a while after it was asked to, whatever hangs in it."""

from __future__ import annotations

import functools
import logging
import os
import signal
import threading
import time
from queue import SimpleQueue

from robotkit.aside import ASIDE

_SAY_S = 0.2
"""How long the last line may take to be written."""


def prepare_to_end() -> None:
    """Let the thread that `end_within` needs exist: later there may be none to be had.

    Raises:
        RuntimeError: there is none now.
    """
    _limits_s()


def end_within(limit_s: float) -> None:
    """Let this process end by itself; when it has not done so in `limit_s` seconds, end it. Signal handlers may ask."""
    _limits_s().put(limit_s)


def end_for_certain(limit_s: float) -> None:
    """Let the system end this process `limit_s` after all its work is done.

    When Python itself ends, it writes what it has not written yet to stdout, and no thread of it runs any more: while
    nobody reads that, it would wait for ever.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, limit_s)


@functools.cache
def _limits_s() -> SimpleQueue[float]:
    limits_s: SimpleQueue[float] = SimpleQueue()
    threading.Thread(target=_wait_and_leave, args=(limits_s,), name="robotkit-end", daemon=True).start()
    return limits_s


def _wait_and_leave(limits_s: SimpleQueue[float]) -> None:
    time.sleep(limits_s.get())
    try:
        text = "the process ends by force: a device hangs"
        ASIDE.enqueue(logging.LogRecord(__name__, logging.ERROR, __file__, 0, text, None, None))
        ASIDE.drain(_SAY_S)
    finally:
        os._exit(1)
