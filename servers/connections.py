"""How many connections a server keeps, for how long, and the few that are left for a stop."""

from __future__ import annotations

import resource
import socket
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from robotkit.errors import Busy, InvalidCommand, RobotkitError
from robotkit.schema.wire import ErrorReply

PER_ADDRESS = 256
SOCKETS_PER_ADDRESS = 64
STOP_RESERVE = 32
"""Connections of an address beyond its limit, over which only a stop is served."""
ONLY_STOP = "robotkit.only_stop"
"""Key of the request's state that says so."""
CONNECTION = "robotkit.connection"
"""Key of the request's state under which its connection stands."""
HEADER_TIME_S = 10.0
"""From a new connection, or from the first byte of a request, to the end of its headers."""
MAX_HEADER_BYTES = 65536
_FILES_RESERVE = 128
_KEEP_ALIVE = ((socket.TCP_KEEPIDLE, 2), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2))
"""A machine that vanished without a word is noticed after four seconds."""


class Connection(Protocol):
    """What is counted."""

    address: str
    transport: Any

    @property
    def is_idle(self) -> bool:
        """True when it may be closed."""


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
        on_lost: Callable[[object], None] = lambda connection: None,
    ) -> None:
        self.on_lost = on_lost
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._per_address = per_address
        self._total = max(1, files - _FILES_RESERVE) if total is None else total
        self._by_address: dict[str, dict[Connection, None]] = defaultdict(dict)
        """In the order in which they were last used: the longest idle one is found at once."""
        self._count = 0

    def add(self, connection: Connection) -> bool:
        """Take one in; False when it is one too many and none of the others is idle."""
        here = self._by_address[connection.address]
        here[connection] = None
        self._count += 1
        if len(here) > self._per_address:
            return _close_longest_idle(here, connection)
        if self._count > self._total:
            return _close_longest_idle(max(self._by_address.values(), key=len), connection)
        return True

    def used(self, connection: Connection) -> None:
        """Note that a request of `connection` is over."""
        here = self._by_address[connection.address]
        if connection in here:
            del here[connection]
            here[connection] = None

    def remove(self, connection: Connection) -> None:
        """Forget one that is closed, or that has become a websocket."""
        here = self._by_address[connection.address]
        if connection in here:
            del here[connection]
            self._count -= 1
        if not here:
            del self._by_address[connection.address]

    def excess(self, address: str) -> int:
        """How many connections an address has beyond its limit."""
        return len(self._by_address.get(address, ())) - self._per_address

    def sockets(self, address: str) -> int:
        """How many websockets an address has."""
        return sum(isinstance(one, BoundedSocketProtocol) for one in self._by_address.get(address, ()))


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's own, with limits of count, time and size, and one request at a time on each connection.

    Behind a request that runs no other is read: over a connection that is not read, nobody notices that the client is
    gone.
    """

    address = ""

    def connection_made(self, transport: Any) -> None:
        """Take the connection in, close another for it, or keep it for a stop."""
        super().connection_made(transport)
        self._registry = registry_of(self)
        self.address = self.client[0] if self.client else ""
        self._only_stop = self._in_headers = False
        self._header_bytes = 0
        self._header_timer = self.loop.call_later(HEADER_TIME_S, transport.abort)
        _notice_vanished_peers(transport)
        if not self._registry.add(self):
            self._only_stop = True
            if self._registry.excess(self.address) > STOP_RESERVE:
                transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; the client that commands over it is gone."""
        self._registry.remove(self)
        self._header_timer.cancel()
        super().connection_lost(exc)
        self._registry.on_lost(self)

    @property
    def is_idle(self) -> bool:
        """True when no request runs."""
        return self.cycle is None or self.cycle.response_complete

    def data_received(self, data: bytes) -> None:
        """Parse; headers that never end are refused."""
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_timer.cancelled():
                self._header_timer = self.loop.call_later(HEADER_TIME_S, self.transport.abort)
            if self._header_bytes > MAX_HEADER_BYTES:
                self.refuse(431, InvalidCommand(f"the headers have more than {MAX_HEADER_BYTES} bytes"))

    def on_message_begin(self) -> None:
        """Begin a request, unless another runs."""
        if not self.is_idle:
            raise httptools.HttpParserError("one request at a time on each connection")
        self._in_headers, self._header_bytes = True, 0
        super().on_message_begin()
        state: dict[str, Any] = self.scope["state"]
        state[CONNECTION] = self
        if self._only_stop:
            state[ONLY_STOP] = True

    def on_headers_complete(self) -> None:
        """Hand the request to the app."""
        self._in_headers = False
        self._header_timer.cancel()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Be idle from now on."""
        self._registry.used(self)
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        """Become a websocket, unless this address has enough of them."""
        if self._only_stop or self._registry.sockets(self.address) >= SOCKETS_PER_ADDRESS:
            self.refuse(503, too_many(self.address))
            return
        self._registry.remove(self)
        self._header_timer.cancel()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Answer in the form of every other refusal."""
        self.refuse(400, InvalidCommand(msg))

    def refuse(self, status: int, error: RobotkitError) -> None:
        """Answer and close, without the app."""
        body = ErrorReply(code=error.code, message=error.message).model_dump_json().encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        self.transport.close()


class BoundedSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own, counted."""

    address = ""
    is_idle = False
    """When it closes, the robot holds."""

    def connection_made(self, transport: Any) -> None:
        """Count the websocket."""
        super().connection_made(transport)
        self._registry = registry_of(self)
        self.address = self.client[0] if self.client else ""
        self._registry.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._registry.remove(self)
        super().connection_lost(exc)


def too_many(address: str) -> Busy:
    """What an address with too many connections hears."""
    return Busy(
        f"{address or 'this address'} has as many connections as one may have ({PER_ADDRESS}, of them "
        f"{SOCKETS_PER_ADDRESS} websockets); close some. A stop is served all the same"
    )


def registry_of(protocol: HttpToolsProtocol | WebSocketsSansIOProtocol) -> Connections:
    """The connections of the server that `protocol` belongs to."""
    app: Any = protocol.config.app
    registry: Connections = app.state.connections
    return registry


def _close_longest_idle(among: Mapping[Connection, None], new: Connection) -> bool:
    for one in among:
        if one.is_idle and one is not new and not one.transport.is_closing():
            # Without a farewell, which a peer that does not read could refuse to take.
            one.transport.abort()
            return True
    return False


def _notice_vanished_peers(transport: Any) -> None:
    peer: socket.socket | None = transport.get_extra_info("socket")
    if peer is not None and peer.family in (socket.AF_INET, socket.AF_INET6):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEP_ALIVE:
            peer.setsockopt(socket.IPPROTO_TCP, option, value)
