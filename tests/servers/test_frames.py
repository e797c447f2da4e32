"""How a websocket's bytes are read: piece by piece, in order, and no further ahead than has been understood."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from servers.protocols import EXTRA_FRAMES_PER_S, BoundedSocketProtocol


class _Loop:
    """Time and callbacks of a loop that runs when it is told to."""

    now_s = 10.0

    def __init__(self) -> None:
        self.waiting: list[object] = []

    def time(self) -> float:
        return self.now_s

    def call_soon(self, call: object) -> None:
        self.waiting.append(call)

    def turn(self) -> None:
        waiting, self.waiting = self.waiting, []
        for call in waiting:
            call()


class _Transport:
    is_reading = True
    is_aborted = closes = False

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def is_closing(self) -> bool:
        return self.closes

    def abort(self) -> None:
        self.is_aborted = self.closes = True

    def get_extra_info(self, name: str) -> None:
        return None


class _Registry:
    def __init__(self) -> None:
        self.kept: list[object] = []
        self.add, self.remove = self.kept.append, self.kept.remove


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What uvicorn's own protocol was given."""
    pieces: list[bytes] = []
    monkeypatch.setattr(WebSocketsSansIOProtocol, "data_received", lambda protocol, data: pieces.append(data))
    monkeypatch.setattr(WebSocketsSansIOProtocol, "connection_lost", lambda protocol, error: None)
    for name in ("handle_ping", "handle_pong", "handle_cont"):
        monkeypatch.setattr(WebSocketsSansIOProtocol, name, lambda protocol, *event: pieces.append(b"handled"))
    return pieces


@pytest.fixture
def protocol(parsed: list[bytes]) -> BoundedSocketProtocol:
    protocol = object.__new__(BoundedSocketProtocol)
    registry = _Registry()
    protocol.config = SimpleNamespace(app=SimpleNamespace(state=SimpleNamespace(connections=registry)))
    protocol.loop, protocol.connections, protocol.logger = _Loop(), set(), SimpleNamespace(level=100)
    protocol.read_paused, protocol.writable = False, asyncio.Event()
    protocol.writable.set()
    protocol.connection_made(_Transport())
    return protocol


def test_what_comes_at_once_is_read_a_piece_in_each_turn_and_nothing_is_read_meanwhile(
    protocol: BoundedSocketProtocol, parsed: list[bytes]
) -> None:
    data = bytes(range(250)) * 10
    protocol.data_received(data)
    assert parsed == [data[:1024]]
    assert not protocol.transport.is_reading
    protocol.data_received(b"and more")
    assert len(parsed) == 1
    protocol.loop.turn()
    assert len(parsed) == 2
    assert not protocol.transport.is_reading
    protocol.loop.turn()
    assert b"".join(parsed) == data + b"and more"
    assert protocol.transport.is_reading
    assert not protocol.loop.waiting
    protocol.data_received(b"later")
    assert parsed[-1] == b"later"


def test_while_the_app_has_messages_to_take_nothing_more_is_read(
    protocol: BoundedSocketProtocol, parsed: list[bytes]
) -> None:
    protocol.transport.pause_reading()
    protocol.read_paused = True
    protocol.data_received(b"a message")
    assert parsed == [b"a message"]
    assert not protocol.transport.is_reading


@pytest.mark.parametrize("is_lost", [True, False])
def test_of_a_connection_that_ends_nothing_more_is_read(
    protocol: BoundedSocketProtocol, parsed: list[bytes], is_lost: bool
) -> None:
    protocol.data_received(b"x" * 5000)
    protocol.transport.closes = True
    if is_lost:
        protocol.connection_lost(None)
        assert protocol._unread == b""
    protocol.loop.turn()
    protocol.loop.turn()
    assert sum(map(len, parsed)) <= 2048
    assert protocol._unread == b""
    assert not protocol.loop.waiting


def test_it_is_counted_while_it_is_open(protocol: BoundedSocketProtocol) -> None:
    registry = protocol.config.app.state.connections
    assert registry.kept == [protocol]
    assert protocol.is_socket
    assert not protocol.is_idle
    protocol.connection_lost(None)
    assert registry.kept == []


KINDS = {
    "pings": lambda protocol: protocol.handle_ping(),
    "pongs": lambda protocol: protocol.handle_pong(None),
    "pieces": lambda protocol: protocol.handle_cont(None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_so_many_extra_frames_a_second_and_no_more(
    protocol: BoundedSocketProtocol, parsed: list[bytes], kind: str
) -> None:
    for _ in range(3):
        for _ in range(EXTRA_FRAMES_PER_S):
            KINDS[kind](protocol)
        assert not protocol.transport.is_aborted
        protocol.loop.now_s += 1.01
    assert parsed == [b"handled"] * 3 * EXTRA_FRAMES_PER_S
    protocol.loop.now_s += 1.01
    for _ in range(EXTRA_FRAMES_PER_S + 1):
        KINDS[kind](protocol)
        protocol.loop.now_s += 0.5 / EXTRA_FRAMES_PER_S
    assert protocol.transport.is_aborted


def test_a_peer_that_takes_no_answers_is_sent_none_and_they_do_not_pile_up(
    protocol: BoundedSocketProtocol, parsed: list[bytes]
) -> None:
    written: list[list[bytes]] = [[b"pong"]]
    protocol.conn = SimpleNamespace(data_to_send=lambda: written.pop())
    protocol.writable.clear()
    protocol.handle_ping()
    assert parsed == []
    assert written == []
