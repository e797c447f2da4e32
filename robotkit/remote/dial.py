"""`Dialer`: connections to a name with several addresses, some of which may not answer, within one deadline."""

from __future__ import annotations

import _thread
import socket
import time
from queue import Empty, SimpleQueue
from typing import Any

from robotkit.remote.race import Entry, connected, first_of

Address = tuple[int, tuple[Any, ...]]
"""A family of addresses, and one of them as sockets take it."""

_NEXT_ADDRESS_S = 0.25
"""How long the addresses before are given until the next is tried beside them."""
_RESOLVED_S = 0.3
"""How long the name is looked up where the addresses that it had before are known."""


class Dialer:
    """Opens connections to one server; safe to use from several threads, and from a signal handler at any line.

    Args:
        host: a name, or an address.
        port: of the server.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._known: list[Address] = []

    def addresses(self, end_s: float) -> list[Address]:
        """The addresses of the server; those of before where the name cannot be looked up now.

        Raises:
            OSError: there is no such name.
            TimeoutError: nobody could say until `end_s`, in monotonic seconds.
        """
        answers: SimpleQueue[list[Address] | OSError] = SimpleQueue()
        self._look_up(answers, socket.AI_NUMERICHOST)
        found = answers.get()
        if isinstance(found, OSError):
            found = self._resolved(end_s, answers)
        if isinstance(found, OSError) and self._known:
            return self._known
        if isinstance(found, OSError):
            raise found
        self._known = found
        return found

    def connect(self, end_s: float) -> socket.socket:
        """A connection to whichever address takes one first; each later one is tried a quarter of a second later.

        Raises:
            OSError: none of them takes one.
            TimeoutError: none did until `end_s`, in monotonic seconds.
        """
        entries = [Entry(_NEXT_ADDRESS_S, address, connected(*address)) for address in self.addresses(end_s)]
        return first_of(entries, end_s)

    def _resolved(self, end_s: float, answers: SimpleQueue[list[Address] | OSError]) -> list[Address] | OSError:
        """Ask the system, which sets no time for that, in a thread; not one of `threading`, whose starts take locks.

        Where this process can start none it asks in this thread, unless an address is known.
        """
        try:
            _thread.start_new_thread(self._look_up, (answers, 0))
        except RuntimeError as error:
            if self._known:
                return OSError(f"the name {self._host!r} was not looked up: {error}")
            self._look_up(answers, 0)
        left_s = end_s - time.monotonic()
        try:
            return answers.get(timeout=max(0.0, min(left_s, _RESOLVED_S) if self._known else left_s))
        except Empty:
            return TimeoutError(f"the name {self._host!r} was not looked up in time")

    def _look_up(self, answers: SimpleQueue[list[Address] | OSError], flags: int) -> None:
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=flags)
            answers.put([(family, address) for family, _, _, _, address in found])
        except OSError as error:
            answers.put(error)
        except UnicodeError as error:
            answers.put(OSError(f"{self._host!r} is not the name of a host: {error}"))
