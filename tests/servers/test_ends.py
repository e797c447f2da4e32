"""How connections end: half closed, reset, or with a handshake that is refused; a stop is answered, nothing is kept."""

from __future__ import annotations

import gc
import logging
import socket
import weakref
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import robotkit as rk
from servers import ServerSettings
from servers.protocols import BoundedHttpProtocol
from tests.serving import served
from tests.support.waiting import wait_until

TOKEN = "correct horse battery"


@pytest.fixture
def cell() -> rk.Workcell:
    return rk.make_workcell("fake", clock="real")


@pytest.fixture
def url(cell: rk.Workcell) -> Iterator[str]:
    with served(cell) as running:
        yield running


def _asked(url: str, path: str) -> socket.socket:
    address = urlsplit(url)
    peer = socket.create_connection((address.hostname, address.port), timeout=20.0)
    peer.sendall(f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
    return peer


@pytest.mark.parametrize("path", ["/v1/robot/stop", "/v1/robot/stop/"])
def test_f10_a_stop_whose_client_sends_no_more_is_answered_and_closed(url: str, cell: rk.Workcell, path: str) -> None:
    with closing(_asked(url, path)) as peer:
        peer.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: peer.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 204")
    assert cell.robot.get_state().mode == "stopped"


def test_f11_a_connection_that_was_reset_is_not_kept(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: weakref.WeakSet[BoundedHttpProtocol] = weakref.WeakSet()
    made = BoundedHttpProtocol.connection_made

    def connection_made(protocol: BoundedHttpProtocol, transport: object) -> None:
        kept.add(protocol)
        made(protocol, transport)

    monkeypatch.setattr(BoundedHttpProtocol, "connection_made", connection_made)
    with closing(_asked(url, "/v1/robot/stop")) as peer:
        assert peer.recv(4096)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def are_gone() -> bool:
        gc.collect()
        return not kept

    wait_until(are_gone, 20.0)


@pytest.mark.parametrize(("path", "status"), [("/v1/stream", 401), ("/v1/nothing", 401)])
def test_f10_a_refused_handshake_fills_no_log(
    cell: rk.Workcell, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, path: str, status: int
) -> None:
    with served(cell, ServerSettings(token=TOKEN)) as url:
        monkeypatch.setattr(logging.getLogger("uvicorn"), "propagate", True)
        monkeypatch.setattr(logging.getLogger("uvicorn.error"), "propagate", True)
        for _ in range(3):
            with pytest.raises(InvalidStatus) as refusal, connect(url.replace("http", "ws") + path):
                pass
            assert refusal.value.response.status_code == status
            assert b"unauthorized" in (refusal.value.response.body or b"")
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
