"""A client waits for a whole request as long as it was told, whatever arrives meanwhile, and not when it is closed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

import robotkit as rk
from robotkit.remote import transport
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
