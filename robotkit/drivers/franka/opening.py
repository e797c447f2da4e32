"""Connecting with libfranka within a deadline: its constructors wait for ever for a box that accepts and is silent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from robotkit.drivers.franka.faults import translated
from robotkit.errors import ConnectionFailed


def opened_within(deadline_s: float, make: Callable[[], Any], what: str) -> Any:
    """Return what `make` makes, a `franky.Robot` or `franky.Gripper`; one that comes later is closed at once.

    Args:
        deadline_s: how long to wait.
        make: connects, in a thread of its own.
        what: names the device in errors: "the Franka arm at 172.16.0.2".

    Raises:
        ConnectionFailed: nobody answers, or not in time.
    """
    made: list[Any] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            made.append(make())
        except Exception as error:  # raised again below, in the thread that waits
            errors.append(error)
        if is_late.is_set():
            made.clear()

    is_late = threading.Event()
    thread = threading.Thread(target=run, name=f"connecting to {what}", daemon=True)
    thread.start()
    thread.join(deadline_s)
    if thread.is_alive():
        is_late.set()
        raise ConnectionFailed(
            f"connecting to {what}: no answer in {deadline_s:g} s. Check power, cable and address, that FCI is active "
            "in Desk, and that no other program is connected"
        )
    if errors:
        with translated(f"connecting to {what}"):
            raise errors[0]
    return made.pop()
