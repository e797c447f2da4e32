"""Limits on the number and the time of a server's connections, and the few that are reserved for a stop."""

from __future__ import annotations

import resource
import select
import socket
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from robotkit.errors import Busy

PER_ADDRESS = 256
SOCKETS_PER_ADDRESS = 64
STOP_RESERVE = 32
"""Connections of an address beyond its limit, over which only a stop is served."""
ONLY_STOP_MAX = 128
"""Connections of all addresses together, beyond their limits, over which only a stop is served: the rest of the reserve
is for devices."""
STOP_PATHS = frozenset({"/v1/robot/stop", "/v1/robot/stop/"})
"""A stop is none the less meant with a slash behind it."""
ONLY_STOP = "robotkit.only_stop"
"""Key of the request's state that says that only a stop is served."""
NO_BODY = "robotkit.no_body"
"""Key of the request's state that says that its body is not read: after its headers it asks for another protocol."""
CONNECTION = "robotkit.connection"
"""Key of the request's state under which the `Peer` of its connection stands."""
_FILES_RESERVE = 256
_KEEP_ALIVE = ((socket.TCP_KEEPIDLE, 2), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2))
"""A machine that vanished without a word is noticed after four seconds."""


class Connection(Protocol):
    """A connection that is counted."""

    address: str
    transport: Any
    is_socket: bool
    """True for a websocket."""

    @property
    def is_idle(self) -> bool:
        """True when it may be closed."""

    @property
    def is_known(self) -> bool:
        """True once a request with a token has come over it: then somebody may be gone when it is closed."""


class Connections:
    """The open connections of one server, on its event loop.

    Args:
        per_address: how many an address may have; one more closes its longest idle one.
        total: the same for all together; None: as many as this process may have files, less a reserve for devices.
        on_lost: called with every connection for web requests that is closed.
    """

    def __init__(
        self,
        per_address: int = PER_ADDRESS,
        total: int | None = None,
        on_lost: Callable[[Peer], None] = lambda connection: None,
    ) -> None:
        self.on_lost = on_lost
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._per_address = per_address
        self._total = max(1, files - _FILES_RESERVE) if total is None else total
        self._by_address: dict[str, dict[Connection, None]] = defaultdict(dict)
        """Connections by address, in the order in which they were last used: the longest idle one is found at once."""
        self._count = 0
        self._only_stop: dict[Connection, None] = {}

    def add(self, connection: Connection) -> bool:
        """Take one in; False when it is one too many and no other may be closed for it: it is there for a stop only.

        Of those there are `ONLY_STOP_MAX`; one more closes the oldest over which nothing was asked yet.
        """
        here = self._by_address[connection.address]
        here[connection] = None
        self._count += 1
        if len(here) > self._per_address:
            has_room = _close_longest_idle(here, connection)
        else:
            has_room = self._count <= self._total or self._make_room(connection)
        if not has_room:
            self._only_stop[connection] = None
            if len(self._only_stop) > ONLY_STOP_MAX and not _close_longest_idle(self._only_stop, connection):
                connection.transport.abort()
        return has_room

    def _make_room(self, new: Connection) -> bool:
        """Close the longest idle one over which no token came, of whoever has the most; else any idle one of that."""
        by_size = sorted(self._by_address.values(), key=len, reverse=True)
        return any(_close_longest_idle(among, new, spares_known=True) for among in by_size) or _close_longest_idle(
            by_size[0], new
        )

    def used(self, connection: Connection) -> None:
        """Note that a request of `connection` is over."""
        here = self._by_address[connection.address]
        if connection in here:
            del here[connection]
            here[connection] = None

    def remove(self, connection: Connection) -> None:
        """Forget one that is closed, or that has become a websocket."""
        here = self._by_address[connection.address]
        self._only_stop.pop(connection, None)
        if connection in here:
            del here[connection]
            self._count -= 1
        if not here:
            del self._by_address[connection.address]

    def excess(self, address: str) -> int:
        """The number of connections of an address beyond its limit."""
        return len(self._by_address.get(address, ())) - self._per_address

    def sockets(self, address: str) -> int:
        """The number of websockets of an address."""
        return sum(one.is_socket for one in self._by_address.get(address, ()))


def has_body(scope: Mapping[str, Any]) -> bool:
    """True when the headers of a web request announce a body."""
    lengths = [value for name, value in scope["headers"] if name in (b"content-length", b"transfer-encoding")]
    return scope["type"] == "http" and lengths not in ([], [b"0"])


def too_many(address: str) -> Busy:
    """The answer to an address with too many connections."""
    return Busy(
        f"{address or 'this address'} has as many connections as one may have ({PER_ADDRESS}, of them "
        f"{SOCKETS_PER_ADDRESS} websockets); close some. A stop is served all the same"
    )


def _close_longest_idle(among: Mapping[Connection, None], new: Connection, spares_known: bool = False) -> bool:
    for one in among:
        if one is not new and one.is_idle and not (spares_known and one.is_known) and not one.transport.is_closing():
            # Without a farewell, which a peer that does not read could refuse to take.
            one.transport.abort()
            return True
    return False


class Peer:
    """The client at the other end of `transport`; may be asked by any thread."""

    def __init__(self, transport: Any) -> None:
        peer: socket.socket | None = transport.get_extra_info("socket")
        self._file = -1 if peer is None else peer.fileno()
        self.is_known = False
        """True once a request with a right token has come from it; where there are no tokens, any request."""
        self.said_goodbye = False
        """True once it has announced that it closes, or the connection is closed."""
        self.was_dismissed = False
        """True once this server has closed the connection because it was idle; the peer may open another."""

    @property
    def has_left(self) -> bool:
        """True when nobody waits for an answer: also when what says so stands unread behind other data."""
        if self.said_goodbye or self._file < 0:
            return self.said_goodbye
        question = select.poll()
        question.register(self._file, select.POLLRDHUP)
        return bool(question.poll(0))


def notice_vanished_peers(transport: Any) -> None:
    """Let the system ask whether the other machine is still there."""
    peer: socket.socket | None = transport.get_extra_info("socket")
    if peer is not None and peer.family in (socket.AF_INET, socket.AF_INET6):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEP_ALIVE:
            peer.setsockopt(socket.IPPROTO_TCP, option, value)
