"""The protocols of a server's connections: uvicorn's own, bounded in count, time, size and work."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame
from websockets.http11 import Request

from robotkit.errors import InvalidCommand, RobotkitError
from robotkit.schema.wire import ErrorReply
from servers.connections import (
    CONNECTION,
    NO_BODY,
    ONLY_STOP,
    SOCKETS_PER_ADDRESS,
    STOP_PATHS,
    STOP_RESERVE,
    Connections,
    Peer,
    has_body,
    notice_vanished_peers,
    too_many,
)

HEADER_TIME_S = 10.0
"""Longest time from a new connection, or from the first byte of a request, to the end of its headers."""
MAX_HEADER_BYTES = 65536
MAX_HEADERS = 200
EXTRA_FRAMES_PER_S = 100
"""Pings, pongs and pieces of a message that one websocket may send in a second."""
_PIECE_BYTES = 1024
"""Some 2 ms of work, when it holds nothing but empty frames."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with limits of count, time and size, and one request at a time on each connection.

    Behind a request that runs no other is read: over a connection that is not read, nobody notices that the client is
    gone.
    """

    address = ""
    is_socket = False

    def connection_made(self, transport: Any) -> None:
        """Take the connection in, close another for it, or keep it for a stop."""
        super().connection_made(transport)
        self._registry = registry_of(self.config)
        self.address = self.client[0] if self.client else ""
        self._only_stop = self._in_headers = self._is_half_closed = self._ignores_rest = False
        self._header_bytes = 0
        self._header_timer = self.loop.call_later(HEADER_TIME_S, transport.abort)
        notice_vanished_peers(transport)
        self._peer = Peer(transport)
        if not self._registry.add(self):
            self._only_stop = True
            if self._registry.excess(self.address) > STOP_RESERVE:
                transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; the client that commands over it is gone."""
        self._peer.said_goodbye = True
        self._registry.remove(self)
        self._header_timer.cancel()
        super().connection_lost(exc)
        # uvicorn does so only for a connection that was closed in order: one that was reset stayed in memory.
        self._unset_keepalive_if_required()
        self._registry.on_lost(self._peer)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that is idle for too long; nobody is gone because of that."""
        self._peer.was_dismissed |= not self.transport.is_closing()
        super().timeout_keep_alive_handler()

    @property
    def is_idle(self) -> bool:
        """True when no request runs."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def is_known(self) -> bool:
        """True when the peer is known."""
        return self._peer.is_known

    def data_received(self, data: bytes) -> None:
        """Parse; headers that never end are refused."""
        if self._ignores_rest:
            return
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
        self._in_headers, self._header_bytes, self._header_count = True, 0, 0
        super().on_message_begin()
        state: dict[str, Any] = self.scope["state"]
        state[CONNECTION] = self._peer
        if self._only_stop:
            state[ONLY_STOP] = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, unless there are too many."""
        self._header_count += 1
        if self._header_count > MAX_HEADERS:
            raise httptools.HttpParserError(f"a request has no more than {MAX_HEADERS} headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request to the app."""
        self._in_headers = False
        self._header_timer.cancel()
        if self.parser.should_upgrade() and not self._should_upgrade() and has_body(self.scope):
            self.scope["state"][NO_BODY] = self._ignores_rest = True
        super().on_headers_complete()

    def _should_upgrade(self) -> bool:
        """Let only a GET become a websocket (RFC 6455): a stop stops, whatever a proxy writes into its headers."""
        return self.parser.get_method() == b"GET" and super()._should_upgrade()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Still answer a stop of a client that sends no more (`nc -N`); over TLS there is no such thing."""
        self._is_half_closed = self.scheme == "http" and not self.is_idle and self.scope["path"] in STOP_PATHS
        return self._is_half_closed

    def on_response_complete(self) -> None:
        """Be idle from now on."""
        self._registry.used(self)
        super().on_response_complete()
        if self._is_half_closed or self._ignores_rest:
            self.transport.close()

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
    """uvicorn's websocket protocol, counted and read piece by piece.

    One peer that sends thousands of tiny frames delays nobody else.

    Pings and pieces of messages, which no part of the server asks for, are bounded in number.
    """

    address = ""
    is_idle = False
    """Never closed to make room for others: when it closes, the robot holds."""
    is_known = is_socket = True

    def connection_made(self, transport: Any) -> None:
        """Count the websocket."""
        super().connection_made(transport)
        self._registry = registry_of(self.config)
        self.address = self.client[0] if self.client else ""
        self._peer = Peer(transport)
        self._unread = b""
        self._is_reading = self._is_paused = False
        self._extra_frames, self._counted_s = 0, self.loop.time()
        self._registry.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._peer.said_goodbye = True
        self._unread = b""
        self._registry.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse a piece now, and the others after what else waits on the event loop."""
        self._unread += data
        if not self._is_reading:
            self._read_piece()

    def _read_piece(self) -> None:
        self._is_reading = False
        piece, self._unread = self._unread[:_PIECE_BYTES], self._unread[_PIECE_BYTES:]
        super().data_received(piece)
        if self.transport.is_closing():
            self._unread = b""
        elif self._unread:
            self._is_reading = self._is_paused = True
            self.transport.pause_reading()
            self.loop.call_soon(self._read_piece)
        elif self._is_paused and not self.read_paused:
            self._is_paused = False
            self.transport.resume_reading()

    def handle_connect(self, event: Request) -> None:
        """Hand the handshake to the app."""
        super().handle_connect(event)
        if self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            self.scope["state"][CONNECTION] = self._peer

    async def send(self, message: Any) -> None:
        """Send; a handshake that was answered otherwise is over."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            # uvicorn would call that a handshake that was left open, in the log.
            self.handshake_complete = True

    def handle_close(self, event: Frame) -> None:
        """Close; what this peer has asked for before starts no more."""
        self._peer.said_goodbye = True
        super().handle_close(event)

    def handle_ping(self) -> None:
        """Answer, unless the peer takes no answers or asks without end."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()
        self._count_extra()

    def handle_pong(self, event: Frame) -> None:
        """Take note, unless it comes without end."""
        super().handle_pong(event)
        self._count_extra()

    def handle_cont(self, event: Frame) -> None:
        """Add a piece to its message, unless there are too many."""
        super().handle_cont(event)
        self._count_extra()

    def _count_extra(self) -> None:
        now_s = self.loop.time()
        if now_s - self._counted_s > 1.0:
            self._extra_frames, self._counted_s = 0, now_s
        self._extra_frames += 1
        if self._extra_frames > EXTRA_FRAMES_PER_S:
            self.transport.abort()


class TlsEntrance(asyncio.Protocol):
    """A connection until its TLS handshake is over; then `BoundedHttpProtocol` takes it.

    A server that leaves the handshake to its event loop knows nothing of such connections, and has soon no file left
    for the one that stops.
    """

    is_idle = True
    is_known = is_socket = False

    def __init__(self, context: ssl.SSLContext, config: Config, server_state: ServerState, **given: Any) -> None:
        self._context = context
        self._inner = BoundedHttpProtocol(config=config, server_state=server_state, **given)
        self._connections = server_state.connections
        self._registry = registry_of(config)
        self._received = b""
        self.address = ""

    def connection_made(self, transport: Any) -> None:
        """Take the connection in, and begin the handshake."""
        self.transport = transport
        self.address = (transport.get_extra_info("peername") or ("",))[0]
        self._connections.add(self)  # type: ignore[arg-type]
        # What comes from now on belongs to the handshake, which reads again (uvloop does not keep to this).
        self.transport.pause_reading()
        notice_vanished_peers(transport)
        if not self._registry.add(self) and self._registry.excess(self.address) > STOP_RESERVE:
            transport.abort()
        self._handshake = asyncio.get_running_loop().create_task(self._secure())

    def data_received(self, data: bytes) -> None:
        """Keep what the client sends with the end of its handshake."""
        self._received += data

    def shutdown(self) -> None:
        """Close at once: nothing was asked yet."""
        self.transport.abort()

    async def _secure(self) -> None:
        loop = asyncio.get_running_loop()
        secured: Any = None
        try:
            # A handshake that fails, or never ends, is the client's own trouble.
            with suppress(OSError):
                secured = await loop.start_tls(
                    self.transport, self, self._context, server_side=True, ssl_handshake_timeout=HEADER_TIME_S
                )
        finally:
            self._registry.remove(self)
            self._connections.discard(self)
            if secured is None:
                self.transport.abort()
        if secured is not None:
            secured.set_protocol(self._inner)
            self._inner.connection_made(secured)
            if self._received:
                self._inner.data_received(self._received)


def registry_of(config: Config) -> Connections:
    """The connections of the server that `config` belongs to."""
    app: Any = config.app
    registry: Connections = app.state.connections
    return registry
