"""A client waits for a whole request as long as it was told, whatever arrives meanwhile, and not when it is closed."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpcore
import pytest

import robotkit as rk
from robotkit.remote import transport
from robotkit.remote.dial import Dialer
from robotkit.remote.patience import PatientBackend
from tests.robotkit.remote.test_session import opened, reply, scripted


@contextmanager
def dripping(piece: bytes) -> Iterator[str]:
    """A server that begins an answer, and goes on with `piece` every 10 ms for as long as somebody listens."""
    ended = threading.Event()

    def serve(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer, suppress(OSError):
            peer.recv(65536)
            while not ended.wait(0.01):
                peer.sendall(piece)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        ended.set()
        thread.join()


BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"


@pytest.mark.parametrize("piece", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n", BEGUN])
def test_the_patience_is_for_the_whole_request_whatever_keeps_arriving(piece: bytes) -> None:
    with dripping(piece) as url, opened(url, 0.2) as session, pytest.raises((rk.RemoteTimeout, rk.ConnectionFailed)):
        session.post("/v1/robot/stop")


def test_an_answer_without_end_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_ANSWER_BYTES_MAX", 1000)
    with (
        scripted([reply(200, bytes(1001))]) as (url, _),
        opened(url) as session,
        pytest.raises(rk.ProtocolError, match="more than 1000 bytes"),
    ):
        session.get("/v1/cameras/front/frame")


def test_closing_ends_a_request_that_waits_in_another_thread() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        errors: list[rk.RobotkitError] = []

        def ask() -> None:
            with pytest.raises(rk.ConnectionFailed) as raised:
                session.post("/v1/robot/hold")
            errors.append(raised.value)

        with opened(f"http://127.0.0.1:{listener.getsockname()[1]}", 60.0) as session:
            thread = threading.Thread(target=ask)
            thread.start()
            peer, _ = listener.accept()
            with peer:
                peer.recv(65536)
                session.close()
                thread.join(20.0)
    assert len(errors) == 1


@contextmanager
def connected(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[httpcore.NetworkStream, socket.socket]]:
    """The stream that httpcore gets, and the other end of its connection."""
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(Dialer, "connect", lambda self, end_s: ours)
    backend = PatientBackend(Dialer("127.0.0.1", 1))
    backend.end_s = time.monotonic() + 20.0
    with ours, theirs:
        theirs.setblocking(False)
        yield backend.connect_tcp("127.0.0.1", 1), theirs


def test_a_request_goes_out_in_one_piece_when_its_answer_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with connected(monkeypatch) as (stream, server):
        for piece in (b"head", b"body", b""):
            stream.write(piece)
        with pytest.raises(BlockingIOError):
            server.recv(100)
        server.sendall(b"answer")
        assert stream.read(100) == b"answer"
        assert server.recv(100) == b"headbody"
        server.sendall(b"more")
        assert stream.read(100) == b"more"
        with pytest.raises(BlockingIOError):
            server.recv(100)


def test_an_answer_is_read_also_from_a_server_that_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with connected(monkeypatch) as (stream, server):
        server.sendall(b"refused")
        server.close()
        stream.write(b"request")
        assert stream.read(100) == b"refused"
