"""Floods of frames, and connections that never finish their TLS handshake, keep nobody else from being served."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI

import robotkit as rk
from robotkit.remote import Session
from servers import ServerSettings, create_app
from servers.connections import Connections
from servers.protocols import EXTRA_FRAMES_PER_S
from servers.runner import BackgroundServer

trustme = pytest.importorskip("trustme")
TEXT, CONTINUED, PING = 1, 0, 9


def frame(opcode: int, content: bytes = b"", is_last: bool = True) -> bytes:
    """One frame of a client, masked with zeros."""
    length = struct.pack(">B", 128 | len(content)) if len(content) < 126 else struct.pack(">BH", 254, len(content))
    return bytes([128 * is_last | opcode]) + length + bytes(4) + content


def opened(url: str, path: str) -> socket.socket:
    """A websocket, as bare as it comes."""
    address = urlsplit(url)
    peer = socket.create_connection((address.hostname, address.port), timeout=20.0)
    lines = (f"GET {path} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "", "")  # fmt: skip
    peer.sendall("\r\n".join(lines).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += peer.recv(1)
    assert b" 101 " in head.splitlines()[0]
    return peer


def send_until_closed(peer: socket.socket, flood: bytes) -> None:
    """Return when the server has closed the connection, during the flood or after it."""
    try:
        peer.sendall(flood)
        while peer.recv(65536):
            pass
    except (ConnectionResetError, BrokenPipeError):
        pass


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(rk.make_workcell("fake", clock="real"), ServerSettings(port=0))


@pytest.fixture(scope="module")
def url(app: FastAPI) -> Iterator[str]:
    with BackgroundServer(app) as server:
        yield server.url


@pytest.mark.parametrize("path", ["/v1/steps", "/v1/stream?rate_hz=1"])
@pytest.mark.parametrize(
    "flood",
    [
        frame(PING, b"x" * 125) * 50 * EXTRA_FRAMES_PER_S,
        frame(TEXT, b"", is_last=False) + frame(CONTINUED, is_last=False) * 50 * EXTRA_FRAMES_PER_S,
    ],
    ids=["pings", "pieces"],
)
def test_b1_a_flood_of_frames_that_carry_nothing_ends_the_connection(url: str, path: str, flood: bytes) -> None:
    with closing(opened(url, path)) as peer:
        send_until_closed(peer, flood)


def test_b1_a_flood_of_tiny_messages_is_read_beside_everything_else(url: str) -> None:
    with closing(opened(url, "/v1/stream?rate_hz=1")) as peer:
        peer.sendall(frame(TEXT, b"{") * 20000)
        with rk.make_workcell("remote", url=url) as cell:
            cell.robot.stop()
            assert cell.robot.get_state().mode == "stopped"
            cell.robot.recover()


def test_b1_a_message_in_a_few_pieces_and_a_ping_are_answered(url: str) -> None:
    with closing(opened(url, "/v1/steps")) as peer:
        pieces = frame(TEXT, b'{"seq"', is_last=False) + frame(PING, b"hello") + frame(CONTINUED, b": 7}")
        for byte in pieces:
            peer.send(bytes([byte]))
        received = b""
        while b'"seq":7' not in received:
            part = peer.recv(65536)
            assert part
            received += part
        assert b"hello" in received


def test_b1_the_largest_message_is_still_read(url: str) -> None:
    with closing(opened(url, "/v1/steps")) as peer:
        peer.sendall(frame(TEXT, b'{"seq": 9' + b" " * 60000 + b"}"))
        received = b""
        while b'"seq":9' not in received:
            part = peer.recv(65536)
            assert part
            received += part


def test_f11_connections_that_never_finish_their_tls_handshake_are_counted(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    settings = ServerSettings(port=0, tls_cert=tmp_path / "both.pem", tls_key=tmp_path / "both.pem")
    app = create_app(rk.make_workcell("fake"), settings)
    app.state.connections = Connections(per_address=4)
    with BackgroundServer(app) as server, ExitStack() as stack:
        address = urlsplit(server.url)
        idle = [stack.enter_context(socket.create_connection((address.hostname, address.port), 20.0)) for _ in range(9)]
        for peer in idle[:5]:
            send_until_closed(peer, b"")
        assert set(app.state.connections._by_address) == {"127.0.0.1"}
        with closing(Session(server.url, ca_file=str(tmp_path / "ca.pem"))) as session:
            session.stop()
