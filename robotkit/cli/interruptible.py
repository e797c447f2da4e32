"""`interruptible`: every signal that asks a command to end ends it as Ctrl+C does."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CLOSING_S = 5.0
"""A second signal counts only this long after the first: before, the arm is being brought to rest."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and a terminal that is closed end the main thread as Ctrl+C does, so that everything is closed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    first_s: float | None = None

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal first_s
        now_s = time.monotonic()
        if first_s is None or now_s - first_s > _CLOSING_S:
            first_s = now_s
            raise KeyboardInterrupt

    # One that is ignored stays ignored, as under nohup.
    taken = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in taken}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
