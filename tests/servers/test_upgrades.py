"""A request that asks for another protocol is what its method and path say: a stop stops, and nothing hangs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import pytest

import robotkit as rk
from servers import ServerSettings
from tests.serving import served

PROTOCOLS = ("websocket", "h2c")
RECOVER = b"POST /v1/robot/recover HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
TOKEN = "abcdefgh"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(rk.make_workcell("fake", clock="real")) as running:
        yield running


def answers(url: str, path: str, protocol: str, *parts: bytes, close: str = "", token: str = "") -> bytes:
    """Everything that comes back to a POST of these parts of a body, until the server closes the connection."""
    address = urlsplit(url)
    lines = (f"POST {path} HTTP/1.1", "Host: localhost", f"Connection: Upgrade{close}", f"Upgrade: {protocol}",
             f"Content-Length: {sum(map(len, parts))}", *([f"Authorization: Bearer {token}"] if token else []),
             "", "")  # fmt: skip
    with closing(socket.create_connection((address.hostname, address.port), timeout=20.0)) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in ("\r\n".join(lines).encode(), *parts):
            peer.sendall(part)
        received = b""
        try:
            while part := peer.recv(65536):
                received += part
        except ConnectionResetError:  # it left a part of the body unread
            pass
        return received


def mode(url: str) -> str:
    return str(httpx.get(f"{url}/v1/robot/state", trust_env=False, timeout=60.0).json()["mode"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("parts", [(), (b"{}",), (b"{", b"}"), (RECOVER,)], ids=["none", "one", "two", "a request"])
def test_b1_a_stop_that_asks_for_another_protocol_stops(url: str, protocol: str, parts: tuple[bytes, ...]) -> None:
    httpx.post(f"{url}/v1/robot/recover", trust_env=False, timeout=60.0)
    received = answers(url, "/v1/robot/stop", protocol, *parts, close="" if parts else ", close")
    assert received.startswith(b"HTTP/1.1 204 ")
    assert received.count(b"HTTP/1.1 ") == 1
    assert mode(url) == "stopped"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_b1_a_command_whose_body_is_not_read_is_refused_and_its_body_is_no_request(url: str, protocol: str) -> None:
    httpx.post(f"{url}/v1/robot/stop", trust_env=False, timeout=60.0)
    received = answers(url, "/v1/gripper/move", protocol, RECOVER)
    assert received.startswith(b"HTTP/1.1 422 ")
    assert b"invalid_command" in received
    assert b"Upgrade" in received
    assert received.count(b"HTTP/1.1 ") == 1
    assert mode(url) == "stopped"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_b1_without_a_token_it_stops_nothing(protocol: str) -> None:
    with served(rk.make_workcell("fake", clock="real"), ServerSettings(token=TOKEN)) as url:
        assert answers(url, "/v1/robot/stop", protocol, b"{}").startswith(b"HTTP/1.1 401 ")
        assert answers(url, "/v1/robot/stop", protocol, b"{}", token=TOKEN).startswith(b"HTTP/1.1 204 ")
