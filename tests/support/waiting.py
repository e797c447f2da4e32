"""Waiting for a state, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(is_true: Callable[[], bool], deadline_s: float = 60.0) -> float:
    """Wait until `is_true()`; returns how long it took in seconds."""
    start_s = time.monotonic()
    while not is_true():
        passed_s = time.monotonic() - start_s
        assert passed_s < deadline_s, f"did not come true in {deadline_s} s"
        time.sleep(0.005)
    return time.monotonic() - start_s


def wait_for_error(call: Callable[[], object], error: type[Exception], deadline_s: float = 60.0) -> Exception:
    """Call until `error` is raised, and return it; any other error passes through."""
    found: list[Exception] = []

    def is_raised() -> bool:
        try:
            call()
        except error as caught:
            found.append(caught)
        return bool(found)

    wait_until(is_raised, deadline_s)
    return found[0]


def is_fine(call: Callable[[], object], *errors: type[Exception]) -> bool:
    """True when `call` raises none of `errors`."""
    try:
        call()
    except errors:
        return False
    return True
