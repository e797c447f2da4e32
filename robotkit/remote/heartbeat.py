"""`kept_up`: a thread that repeats a call while a block runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def kept_up(work: Callable[[], object], period_s: float) -> Iterator[None]:
    """Call `work` every `period_s`, for the first time after one period, until the block ends."""
    is_over = threading.Event()

    def run() -> None:
        while not is_over.wait(period_s):
            work()

    thread = threading.Thread(target=run, name="robotkit-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
