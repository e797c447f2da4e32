"""`Handshake`: the protocol version and the time of a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from robotkit.errors import CommandExpired, ProtocolError, RemoteError
from robotkit.schema.wire import PROTOCOL_NEWEST, PROTOCOL_OLDEST, NumberedStep, ProtocolInfo, StreamCommand

_TIME_HOLDS_S = 300.0
"""Two machines' clocks drift apart by some 0.1 ms a second at most: by 30 ms until they are compared again."""

_ADVICE = "it can be read and stopped, but not commanded. Install the same robotkit on both sides"


class ReadsServer(Protocol):
    """A connection to a server that can be asked."""

    url: str

    def read(self, path: str, reply: type[ProtocolInfo]) -> ProtocolInfo:
        """GET `path` and parse the answer."""


class Deadline(NamedTuple):
    """The latest time at which a command may start."""

    at_s: float
    """The deadline in monotonic seconds of the server."""
    clock: str | None
    """Clock of the server that the deadline is for; None: it does not tell."""


class _Found(NamedTuple):
    """The server's answer."""

    offset_s: float
    made_s: float
    clock: str | None


class Handshake:
    """Made before the first command, and again whenever what it found may no longer hold.

    Args:
        session: the connection to the server.
        now_s: monotonic seconds of this machine.
    """

    def __init__(self, session: ReadsServer, now_s: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._now_s = now_s
        self._found: _Found | None = None

    def deadline(self, patience_s: float) -> Deadline:
        """`patience_s` from now; never later, and earlier by a round trip at most.

        Raises:
            ProtocolError: server and client speak no common version.
            RemoteError: the server cannot be asked.
        """
        found = self._found
        if found is None or self._now_s() - found.made_s > _TIME_HOLDS_S:
            found = self._make()
        return Deadline(self._now_s() + found.offset_s + patience_s, found.clock)

    def forget(self) -> None:
        """Ask the server again before the next command."""
        self._found = None

    def answered(self, clock: str | None) -> None:
        """An answer has come of the server with this clock; another one than before is asked again."""
        found = self._found
        if found is not None and clock is not None and clock != found.clock:
            self.forget()

    def require_common_version(self) -> None:
        """Raise `ProtocolError` when server and client speak no common version."""
        self._make()

    @contextmanager
    def doubted(self) -> Iterator[None]:
        """Forget the server's time when a command fails in a way that a wrong time, or another server, explains."""
        try:
            yield
        except (CommandExpired, RemoteError):
            self.forget()
            raise

    def _make(self) -> _Found:
        self.forget()
        try:
            info = self._session.read("/v1/protocol", ProtocolInfo)
        except ProtocolError as error:
            raise ProtocolError(
                f"{self._session.url} does not tell which versions of the protocol it speaks: {_ADVICE} ({error})"
            ) from error
        answered_s = self._now_s()
        if info.oldest > PROTOCOL_NEWEST or info.newest < PROTOCOL_OLDEST:
            raise ProtocolError(
                f"{self._session.url} speaks version {info.oldest} to {info.newest} of the protocol, this client "
                f"{PROTOCOL_OLDEST} to {PROTOCOL_NEWEST}: {_ADVICE}"
            )
        # The server read its clock before its answer arrived: a command starts at no time at which nobody waits for it.
        self._found = found = _Found(info.now_s - answered_s, answered_s, info.clock or None)
        return found


def timed_text(message: NumberedStep | StreamCommand) -> str:
    """`message` as it is sent; without what a server that has told nothing of it may not know."""
    return message.model_dump_json(exclude={name for name in ("clock", "seen") if getattr(message, name) is None})
