"""A server whose name has several addresses is reached while one of them answers, and a name is not waited for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import pytest

import robotkit as rk
from robotkit.remote import Session, alone, dial
from robotkit.remote.dial import Dialer
from robotkit.schema.wire import ClockState
from tests.robotkit.remote.test_session import DONE, NO_CONTENT, OK, reply, scripted


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """An address that takes no connection and refuses none: what is sent there is swallowed."""
    with ExitStack() as stack:
        listener = stack.enter_context(closing(socket.socket()))
        listener.bind(("127.0.0.99", 0))
        listener.listen(0)
        for _ in range(4):
            one = stack.enter_context(closing(socket.socket()))
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield listener.getsockname()


def _named(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """Let the name "robot" have these addresses, in this order."""
    original = socket.getaddrinfo

    def look_up(host: str, port: int, *args: Any, **kwargs: Any) -> list[tuple[Any, ...]]:
        if host != "robot":
            return original(host, port, *args, **kwargs)
        if kwargs.get("flags"):
            raise socket.gaierror("no number")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def _port(url: str) -> int:
    return int(url.rsplit(":", 1)[1])


def test_b2_a_stop_reaches_a_server_whose_first_address_swallows_everything(
    silent: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted([DONE], [OK]) as (url, received):
        _named(monkeypatch, silent, ("127.0.0.1", _port(url)))
        with closing(Session("http://robot:1", timeout_s=20.0)) as session:
            session.stop()
            assert session.read("/v1/clock", ClockState).now_s == 1.5
    assert [request.split()[1] for request in received] == [b"/v1/robot/stop", b"/v1/clock"]


def test_b2_a_stop_that_one_address_refuses_is_done_by_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted([reply(404, b"nobody")]) as (wrong, refused), scripted([DONE]) as (right, received):
        _named(monkeypatch, ("127.0.0.1", _port(wrong)), ("127.0.0.1", _port(right)))
        Session("http://robot:1", timeout_s=20.0).stop()
    assert len(received) == 1
    assert len(refused) <= 1


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("status", [200, 202, 204, 299, 301, 404])
def test_b2_a_stop_that_one_address_refuses_is_sent_again_to_the_other(
    monkeypatch: pytest.MonkeyPatch, is_first: bool, status: int
) -> None:
    """Or that is taken there by somebody who is no robot server."""
    monkeypatch.setattr(alone, "_AGAIN_AFTER_S", (0.05,) * 4)
    with scripted([reply(status, b"nobody")]) as (wrong, _), ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        asked: list[bytes] = []

        def serve() -> None:
            peers = [stack.enter_context(listener.accept()[0]) for _ in range(2)]
            asked.extend(peer.recv(65536) for peer in peers)
            peers[1].sendall(DONE)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        addresses = [("127.0.0.1", _port(wrong)), listener.getsockname()]
        _named(monkeypatch, *(addresses if is_first else addresses[::-1]))
        Session("http://robot:1", timeout_s=20.0).stop()
        thread.join(20.0)
    assert len(asked) == 2


@pytest.mark.parametrize("is_first", [True, False])
def test_b2_the_answer_of_a_robot_server_counts_before_that_of_anybody_else(
    monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    """Also where it says that the arm has not taken the stop."""
    monkeypatch.setattr(alone, "_AGAIN_AFTER_S", (3600.0,))
    refusal = reply(503, b'{"code":"device_fault","message":"why"}').replace(b"\r\n", b"\r\nX-Robotkit-Clock: 0\r\n", 1)
    with scripted([NO_CONTENT]) as (foreign, _), scripted([refusal]) as (own, _):
        addresses = [("127.0.0.1", _port(foreign)), ("127.0.0.1", _port(own))]
        _named(monkeypatch, *(addresses if is_first else addresses[::-1]))
        with pytest.raises(rk.DeviceFault, match="why"):
            Session("http://robot:1", timeout_s=20.0).stop()


def test_b2_a_stop_that_every_address_refuses_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone, "_AGAIN_AFTER_S", (3600.0,))
    refusal = reply(401, b'{"code":"unauthorized","message":"why"}')
    with scripted([refusal]) as (one, first), scripted([refusal]) as (other, second):
        _named(monkeypatch, ("127.0.0.1", _port(one)), ("127.0.0.1", _port(other)))
        with pytest.raises(rk.Unauthorized, match="why"):
            Session("http://robot:1", timeout_s=20.0).stop()
    assert len(first) == len(second) == 1


def test_a_server_is_reached_by_its_second_address_when_nobody_listens_at_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = listener.getsockname()
    with scripted([OK]) as (url, _):
        _named(monkeypatch, nobody, ("127.0.0.1", _port(url)))
        with closing(Session("http://robot:1")) as session:
            assert session.read("/v1/clock", ClockState).now_s == 1.5


def test_a_server_of_which_no_address_answers_is_given_up_in_time(
    silent: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _named(monkeypatch, silent, silent)
    session = Session("http://robot:1", timeout_s=0.1)
    for use in (session.stop, lambda: session.get("/v1/clock")):
        with pytest.raises(rk.RemoteTimeout, match=r"within 0\.1 s"):
            use()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody who resolves names answers."""
    may_end = threading.Event()
    original = socket.getaddrinfo

    def look_up(host: str, port: int, *args: Any, **kwargs: Any) -> list[tuple[Any, ...]]:
        if host == "robot" and not kwargs.get("flags"):
            may_end.wait(60.0)
        return original(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield
    may_end.set()


def test_a_name_that_nobody_resolves_is_given_up_in_time(hanging: None) -> None:
    session = Session("http://robot:1", timeout_s=0.1)
    for use in (session.stop, lambda: session.get("/v1/clock")):
        with pytest.raises(rk.RemoteTimeout, match=r"within 0\.1 s"):
            use()


def test_b2_a_stop_goes_to_the_address_of_before_when_nobody_resolves_the_name(
    hanging: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "_RESOLVED_S", 0.01)
    with scripted([DONE]) as (url, received):
        session = Session("http://robot:1", timeout_s=20.0)
        session.dialer._known = [(socket.AF_INET, ("127.0.0.1", _port(url)))]
        session.stop()
    assert len(received) == 1


@pytest.mark.parametrize("host", ["robot", "a" * 70])
def test_a_name_that_does_not_exist_is_no_host(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if host == "robot":
        monkeypatch.setattr(socket, "getaddrinfo", partial(_raise, socket.gaierror("nobody knows it")))
    with pytest.raises(OSError, match=r"nobody knows it|not the name of a host"):
        Dialer(host, 1).addresses(time.monotonic() + 20.0)
    session = Session(f"http://{host}:1", timeout_s=20.0)
    for use in (session.stop, lambda: session.get("/v1/clock")):
        with pytest.raises(rk.ConnectionFailed):
            use()


def _raise(error: Exception, *args: object, **kwargs: object) -> None:
    raise error
