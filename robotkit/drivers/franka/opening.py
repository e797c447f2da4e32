"""Calls to libfranka with a deadline: most wait without end for a control box that accepts and does not answer."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from robotkit.drivers.franka.faults import translated
from robotkit.errors import ConnectionFailed

_LETTING_GO_S = 1.0
_FCI_PORT = 1337
"""Port of the arm's commands, in libfranka's `research_interface/robot/service_types.h`."""


def opened_within(deadline_s: float, make: Callable[[], Any], what: str) -> Any:
    """Return what `make` makes, a `franky.Robot` or `franky.Gripper`; one that comes later is closed at once.

    Args:
        deadline_s: how long to wait.
        make: connects, in a thread of its own.
        what: names the device in errors: "the Franka arm at 172.16.0.2".

    Raises:
        ConnectionFailed: nobody answers, or not in time.
    """
    return answered_within(deadline_s, make, f"connecting to {what}")


def answered_within(deadline_s: float, call: Callable[[], Any], doing: str) -> Any:
    """Return what `call` returns, in a thread of its own; what it returns later is dropped there.

    Raises:
        ConnectionFailed: no answer came in time; `call` may wait for it for ever, and must be the last user of its arm.
        RobotkitError: what `call` raises, translated; `doing` begins the message.
    """
    answers: list[Any] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            answers.append(call())
        except Exception as error:  # raised again below, in the thread that waits
            errors.append(error)
        if is_late.is_set():
            answers.clear()

    is_late = threading.Event()
    thread = threading.Thread(target=run, name=doing, daemon=True)
    thread.start()
    thread.join(deadline_s)
    if thread.is_alive():
        is_late.set()
        raise ConnectionFailed(
            f"{doing}: no answer in {deadline_s:g} s. Check power, cable and address, that FCI is active "
            "in Desk, and that no other program is connected"
        )
    if errors:
        with translated(doing):
            raise errors.pop().with_traceback(None)  # whose frames keep what `call` asked, and so its connection
    return answers.pop()


def close_connection(arm: Any, host: str) -> None:
    """Stop a motion that still runs and close the connection of `arm` to `host`, whose last user the caller is.

    It is closed when this returns: what libfranka waits for in vain for 1 s, its connection is cut.
    """
    held = [arm]
    del arm
    thread = threading.Thread(target=_close_connection, args=(held,), name="franka-letting-go", daemon=True)
    thread.start()
    thread.join(_LETTING_GO_S)
    if thread.is_alive():
        cut_connections(host)
        thread.join(_LETTING_GO_S)


def cut_connections(host: str) -> None:
    """Cut what this process has open to the arm at `host`: the box serves one client, and libfranka may wait for ever.

    It does so for the start of a motion that was stopped before a packet showed it, also when the box answers again.
    """
    with suppress(OSError):
        address = socket.gethostbyname(host)
        for name in os.listdir("/proc/self/fd"):
            with suppress(OSError), socket.socket(fileno=os.dup(int(name))) as connection:
                if connection.getpeername() == (address, _FCI_PORT):
                    connection.shutdown(socket.SHUT_RDWR)


def _close_connection(held: list[Any]) -> None:
    arm = held.pop()
    with suppress(Exception):  # how the last motion ended
        if arm.is_in_control:
            arm.stop()
        arm.join_motion()
