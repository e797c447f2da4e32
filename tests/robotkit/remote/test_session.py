"""The client against servers that misbehave: typed errors, no blind resends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

import httpcore
import pytest

import robotkit as rk
from robotkit.remote import Session, alone, transport
from robotkit.remote.heartbeat import kept_up
from robotkit.remote.session import HEARTBEAT_S
from robotkit.schema.wire import PROTOCOL_NEWEST, PROTOCOL_OLDEST, ClockAdvanceRequest, ClockState, ProtocolInfo
from servers import ServerSettings, create_app
from servers.runner import BackgroundServer

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 34\r\n\r\n{"now_s":1.5,"is_lockstep":false} '


DONE = b"HTTP/1.1 204 No Content\r\nX-Robotkit-Clock: 0\r\n\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
"""The answer of anybody, as of a check of the network; and of robot servers before they signed their answers."""


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


def reply(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def test_a_read_survives_one_dropped_connection() -> None:
    with scripted([None], [OK]) as (url, received), opened(url) as session:
        assert session.read("/v1/clock", ClockState).now_s == 1.5
        assert len(received) == 2


def test_a_read_gives_up_after_the_second() -> None:
    with (
        scripted([None], [None]) as (url, _),
        opened(url) as session,
        pytest.raises(rk.ConnectionFailed, match="disconnected without sending a response"),
    ):
        session.read("/v1/clock", ClockState)


def test_what_broke_without_a_word_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(connection: httpcore.HTTPConnection, request: httpcore.Request) -> None:
        raise httpcore.ReadError

    monkeypatch.setattr(httpcore.HTTPConnection, "handle_request", broken)
    with (
        opened("http://127.0.0.1:1") as session,
        pytest.raises(rk.ConnectionFailed, match=r"127\.0\.0\.1:1 \(ReadError\)"),
    ):
        session.get("/v1/clock")


def test_a_command_is_never_sent_twice() -> None:
    with scripted([None]) as (url, received), opened(url) as session:
        with pytest.raises(rk.ConnectionFailed):
            session.post("/v1/robot/stop")
        assert len(received) == 1


def _headers(request: bytes) -> dict[str, str]:
    lines = request.decode().split("\r\n\r\n")[0].split("\r\n")[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


def _protocol(now_s: float) -> bytes:
    info = ProtocolInfo(oldest=PROTOCOL_OLDEST, newest=PROTOCOL_NEWEST, now_s=now_s, clock="0")
    return reply(200, info.model_dump_json().encode())


def test_b4_a_command_says_until_when_it_may_start_and_who_sends_it() -> None:
    with scripted([_protocol(7000.0), OK]) as (url, received), opened(url, 2.5) as session:
        session.ask("/v1/clock/advance", ClockAdvanceRequest(period_s=1.0), ClockState)
        headers = _headers(received[1])
        assert float(headers["x-robotkit-deadline"]) == pytest.approx(7002.5, abs=1.0)
        assert headers["content-type"] == "application/json"
        assert headers["x-robotkit-protocol"] == str(PROTOCOL_NEWEST)
        assert "x-robotkit-heartbeat" not in headers
        assert "authorization" not in headers


def test_b10_a_motion_promises_a_heartbeat_and_waits_for_longer() -> None:
    with scripted([_protocol(7000.0), DONE]) as (url, received), opened(url, 2.5) as session:
        session.move("/v1/robot/reset")
        headers = _headers(received[1])
        assert float(headers["x-robotkit-heartbeat"]) == HEARTBEAT_S == 1.0
        assert float(headers["x-robotkit-deadline"]) == pytest.approx(7002.5, abs=1.0)
        assert "content-type" not in headers


def test_a_motion_has_a_time_out_of_its_own() -> None:
    with (
        scripted([_protocol(0.0), b"", b""]) as (url, _),
        closing(Session(url, timeout_s=20.0, motion_timeout_s=0.05)) as session,
        pytest.raises(rk.RemoteTimeout, match=r"/v1/robot/reset within 0\.05 s"),
    ):
        session.move("/v1/robot/reset")


@pytest.mark.parametrize("answer", [None, reply(409, b'{"code":"command_expired","message":"late"}')])
def test_b4_after_a_command_of_unknown_fate_the_server_is_asked_for_its_time_again(answer: bytes | None) -> None:
    after = [_protocol(1.0), DONE]
    connections = [[_protocol(0.0), answer], after] if answer is None else [[_protocol(0.0), answer, *after]]
    with scripted(*connections) as (url, received), opened(url) as session:
        with pytest.raises((rk.ConnectionFailed, rk.CommandExpired)):
            session.command("/v1/gripper/open")
        session.command("/v1/gripper/open")
    assert [request.split()[1] for request in received] == [b"/v1/protocol", b"/v1/gripper/open"] * 2


def test_a_question_is_asked_in_the_address() -> None:
    with scripted([OK, OK, OK]) as (url, received), opened(url) as session:
        session.get("/v1/cameras/a/frame", format="raw")
        session.get("/v1/cameras/a/frame", format="png")
        session.get("/v1/cameras/a/frame")
    assert [request.split()[1] for request in received] == [
        b"/v1/cameras/a/frame?format=raw", b"/v1/cameras/a/frame?format=png", b"/v1/cameras/a/frame",
    ]  # fmt: skip


def test_a_lost_heartbeat_is_no_error() -> None:
    with scripted([None]) as (url, received), opened(url) as session:
        session._beat()
        assert received[0].startswith(b"POST /v1/control/heartbeat ")


def test_kept_up_work_is_done_again_and_again_and_ends_with_its_block() -> None:
    done = threading.Semaphore(0)
    before = threading.active_count()
    with kept_up(done.release, 0.001):
        for _ in range(3):
            assert done.acquire(timeout=20.0)
    assert threading.active_count() == before
    with pytest.raises(ZeroDivisionError), kept_up(done.release, 60.0):
        raise ZeroDivisionError
    assert threading.active_count() == before


def test_kept_up_work_waits_for_a_period_first() -> None:
    done: list[int] = []
    with kept_up(lambda: done.append(1), 60.0):
        pass
    assert not done


def test_b2_only_a_stop_is_sent_again_over_a_new_connection() -> None:
    with scripted([None], [DONE]) as (url, received), opened(url) as session:
        session.stop()
        assert [line.split()[1] for line in received] == [b"/v1/robot/stop"] * 2


def test_b2_a_stop_goes_over_a_connection_of_its_own_and_again_over_another_while_nobody_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alone, "_AGAIN_AFTER_S", (0.0, 60.0))
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:
        listener.settimeout(20.0)
        session = stack.enter_context(closing(Session(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=20.0)))
        peers: list[socket.socket] = []
        for use, connections, answer in ((lambda: session.get("/v1/clock"), 1, OK), (session.stop, 2, DONE)):
            thread = threading.Thread(target=use)
            thread.start()
            for _ in range(connections):
                peers.append(stack.enter_context(listener.accept()[0]))
                assert peers[-1].recv(65536)
            peers[-1].sendall(answer)
            thread.join(20.0)
            assert not thread.is_alive()
        assert peers[1].recv(1) == b"", "the attempt that nobody answered is over"


def test_b2_a_stop_takes_a_connection_that_is_open_where_no_new_one_can_be_opened() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:
        session = stack.enter_context(closing(Session(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=20.0)))
        asked: list[bytes] = []

        def serve() -> None:
            peer = stack.enter_context(listener.accept()[0])
            for answer in (OK, DONE):
                asked.append(peer.recv(65536))
                listener.close()
                peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        session.get("/v1/clock")
        session.stop()
        thread.join(20.0)
    assert asked[1].startswith(b"POST /v1/robot/stop ")


def test_b2_a_stop_that_was_refused_is_not_sent_again() -> None:
    refused = reply(401, b'{"code":"unauthorized","message":"why"}')
    with scripted([refused], [DONE]) as (url, received), opened(url) as session:
        with pytest.raises(rk.Unauthorized):
            session.stop()
        assert len(received) == 1
        session.stop()


def test_b1_a_stop_goes_out_beside_whatever_else_the_session_waits_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:
        listener.settimeout(20.0)
        session = stack.enter_context(closing(Session(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=20.0)))
        threads, peers = [], []
        for use in (*[lambda: session.get("/v1/state")] * 12, session.stop):
            threads.append(threading.Thread(target=use))
            threads[-1].start()
            peers.append(stack.enter_context(listener.accept()[0]))
            asked = peers[-1].recv(65536)
        assert asked.startswith(b"POST /v1/robot/stop ")
        for peer in reversed(peers):
            peer.sendall(DONE)
        for thread in threads:
            thread.join(20.0)


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
    with scripted([reply(status, body)]) as (url, _), opened(url) as session, pytest.raises(error):
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
        ("http://robot_1.lab-2.:1", "http://robot_1.lab-2.:1"),
        ("http://a:65535", "http://a:65535"),
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


def test_f17_an_idle_connection_is_closed_once_another_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_KEPT_OPEN_S", 0.0)
    was_open: list[bool] = []

    def serve(listener: socket.socket) -> None:
        before, _ = listener.accept()
        with before:
            before.recv(65536)
            before.sendall(OK)
            after, _ = listener.accept()
            with after:
                after.recv(65536)
                before.setblocking(False)
                with suppress(BlockingIOError):
                    before.recv(1)
                    was_open.append(False)
                before.setblocking(True)
                was_open.append(True)
                after.sendall(OK)
                assert before.recv(1) == b""

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        with opened(f"http://127.0.0.1:{listener.getsockname()[1]}") as session:
            for _ in range(2):
                session.read("/v1/clock", ClockState)
            thread.join(20.0)
            assert not thread.is_alive()
    assert was_open == [True]
