"""The client against servers that misbehave: typed errors, no blind resends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import robotkit as rk
from robotkit.cli.remote import Stop
from robotkit.remote import Session
from robotkit.schema.wire import ClockState
from servers import ServerSettings, create_app
from servers.runner import BackgroundServer

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 34\r\n\r\n{"now_s":1.5,"is_lockstep":false} '


@contextmanager
def scripted(*connections: list[bytes | None]) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers the requests of each connection with these bytes; None drops the connection."""
    received: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        for answers in connections:
            peer, _ = listener.accept()
            with peer:
                for answer in answers:
                    received.append(peer.recv(65536))
                    if answer is None:
                        break
                    peer.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", received
        thread.join(5.0)


@contextmanager
def opened(url: str, timeout_s: float = 2.0) -> Iterator[Session]:
    session = Session(url, timeout_s=timeout_s)
    try:
        yield session
    finally:
        session.close()


def _reply(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def test_a_read_survives_one_dropped_connection() -> None:
    with scripted([None], [OK]) as (url, received), opened(url) as session:
        assert session.read("/v1/clock", ClockState).now_s == 1.5
        assert len(received) == 2


def test_a_read_gives_up_after_the_second() -> None:
    with scripted([None], [None]) as (url, _), opened(url) as session, pytest.raises(rk.ConnectionFailed):
        session.read("/v1/clock", ClockState)


def test_a_command_is_never_sent_twice() -> None:
    with scripted([None]) as (url, received), opened(url) as session:
        with pytest.raises(rk.ConnectionFailed):
            session.post("/v1/robot/stop")
        assert len(received) == 1


DONE = b"HTTP/1.1 204 No Content\r\n\r\n"


def test_b2_the_stop_command_posts_stop_first_and_asks_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    with scripted([DONE]) as (url, received):
        assert Stop(url=url, token="correct horse").run() == 0
    assert len(received) == 1
    assert received[0].startswith(b"POST /v1/robot/stop HTTP/1.1\r\n")
    assert b"Bearer correct horse" in received[0]
    assert "stopped" in capsys.readouterr().out


def test_b2_only_a_stop_is_sent_again_over_a_new_connection() -> None:
    with scripted([None], [DONE]) as (url, received), opened(url) as session:
        session.stop()
        assert [line.split()[1] for line in received] == [b"/v1/robot/stop"] * 2


def test_silence_is_a_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with opened(url, 0.1) as session, pytest.raises(rk.RemoteTimeout, match=r"0\.1 s"):
            session.post("/v1/robot/stop")


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(rk.ConnectionFailed, match="robotkit-serve"):
        rk.make_workcell("remote", url=url)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (409, b'{"code":"step_too_large","message":"why"}', rk.StepTooLarge),
        (503, b'{"code":"force_limit_exceeded","message":"why"}', rk.ForceLimitExceeded),
        (409, b'{"code":"from_the_future","message":"why"}', rk.ProtocolError),
        (404, b"<h1>Not Found</h1>", rk.ProtocolError),
        (200, b"<h1>Welcome</h1>", rk.ProtocolError),
    ],
)
def test_answers_become_errors(status: int, body: bytes, error: type[rk.RobotkitError]) -> None:
    with scripted([_reply(status, body)]) as (url, _), opened(url) as session, pytest.raises(error):
        session.read("/v1/clock", ClockState)


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:5000", "ftp://robot", "", "http://", "http://robot:port", "robot", "http://::1:5000", "http://[::1",
        "http://[zz]:5000", "http://a b:5000", "http://robot:70000", "http://robot:0", "http://robot:-1", "http://:5000",
        "http://robot:5000/v1", "http://robot:5000?x=1", "http://robot#f", "http://user:pw@robot:5000", "http://..:5000",
        "http://ro\nbot:5000", "http://%31:80", "ws://robot:5000", None, 5000,
    ],
)  # fmt: skip
def test_r7_what_is_no_address_is_refused_in_a_sentence(url: str) -> None:
    with pytest.raises(rk.InvalidConfiguration, match=r"http://\[::1\]:5000"):
        Session(url)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("http://[fe80::1%25eth0]:5000", "http://[fe80::1%eth0]:5000"),
        ("HTTP://Robot:5000/", "http://robot:5000"),
        ("https://robot.lab", "https://robot.lab"),
        ("http://1.2.3.4:5000", "http://1.2.3.4:5000"),
    ],
)
def test_r7_addresses_have_one_form(given: str, url: str) -> None:
    assert Session(given).url == url


def test_r7_a_server_on_an_ipv6_address_is_reached_by_its_own_url() -> None:
    app = create_app(rk.make_workcell("fake"), ServerSettings(host="::1", port=0))
    with BackgroundServer(app) as server, rk.make_workcell("remote", url=server.url) as cell:
        assert server.url.startswith("http://[::1]:")
        assert cell.step().robot.mode
        with cell.stream() as stream:
            assert stream.latest().robot.mode


@pytest.mark.parametrize("token", ["schlüssel", "two\nlines", "nul\0nul"])
def test_a_token_that_cannot_be_sent_is_refused(token: str) -> None:
    with pytest.raises(rk.InvalidConfiguration, match="token"):
        Session("http://a", token)


def test_m14_commands_take_the_direct_way(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with scripted([OK]) as (url, _), opened(url) as session:
        assert session.read("/v1/clock", ClockState).now_s == 1.5


def test_each_session_has_a_name_of_its_own() -> None:
    one, other = Session("http://a"), Session("http://a")
    assert one.headers != other.headers
