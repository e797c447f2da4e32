"""What a client can make large, slow or many is bounded, and a stop always finds its way."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

import robotkit as rk
from robotkit.schema.wire import CLIENT_HEADER
from servers import ServerSettings, connections, create_app, gate, protocols
from servers.connections import SOCKETS_PER_ADDRESS, Connections
from servers.gate import MAX_BODY_BYTES
from servers.runner import BackgroundServer
from tests.serving import REPOSITORY, served, wait_for_url
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def cell() -> rk.Workcell:
    return rk.make_workcell("fake", clock="real", **{"robot.joint_speed_rad_s": 0.1})


@pytest.fixture(scope="module")
def app(cell: rk.Workcell) -> FastAPI:
    return create_app(cell, ServerSettings(port=0, lease_timeout_s=60.0))


@pytest.fixture(scope="module")
def url(app: FastAPI) -> Iterator[str]:
    with BackgroundServer(app) as server:
        yield server.url


@pytest.fixture
def few(app: FastAPI, url: str) -> Iterator[int]:
    """Four connections for each address, on a server that has none open."""
    before, app.state.connections = app.state.connections, Connections(per_address=4)
    yield 4
    app.state.connections = before


@contextmanager
def opened(url: str) -> Iterator[socket.socket]:
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=20.0) as peer:
        yield peer


def _head(path: str, *lines: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def _answer(peer: socket.socket) -> str:
    """Everything until the server closes."""
    received = b""
    while True:
        try:
            part = peer.recv(65536)
        except ConnectionResetError:
            part = b""
        if not part:
            return received.decode()
        received += part


@pytest.mark.parametrize("path", ["/v1/step", "/v1/robot/command", "/update_param", "/nothing"])
@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 10**8, 10**18])
def test_f10_a_body_above_the_limit_is_refused_before_it_is_read(url: str, path: str, size: int) -> None:
    with opened(url) as peer:
        peer.sendall(_head(path, f"Content-Length: {size}"))
        answer = _answer(peer)
    assert " 413 " in answer.splitlines()[0]
    assert '"code":"invalid_command"' in answer
    assert str(MAX_BODY_BYTES) in answer


@pytest.mark.parametrize(
    "line",
    [
        "Content-Length: 10", f"Content-Length: {10**9}", "Transfer-Encoding: chunked",
        "X-Robotkit-Deadline: soon", "X-Robotkit-Deadline: 0", "X-Robotkit-Heartbeat: soon",
        "X-Robotkit-Heartbeat: -1", "X-Robotkit-Protocol: 99", "Content-Encoding: gzip", "Expect: 100-continue",
    ],
)  # fmt: skip
def test_b1_nothing_that_comes_with_a_stop_delays_it_or_has_it_refused(url: str, cell: rk.Workcell, line: str) -> None:
    with opened(url) as peer:
        peer.sendall(_head("/v1/robot/stop", line))
        assert peer.recv(4096).startswith(b"HTTP/1.1 204")
    assert cell.robot.get_state().mode == "stopped"
    cell.robot.recover()


def test_b1_the_body_of_a_stop_is_not_taken_for_the_next_request(url: str, cell: rk.Workcell) -> None:
    hidden = _head("/v1/robot/recover", "Content-Length: 0")
    with opened(url) as peer:
        peer.sendall(_head("/v1/robot/stop", f"Content-Length: {len(hidden)}"))
        assert _answer(peer).count("HTTP/1.1") == 1
    assert cell.robot.get_state().mode == "stopped"
    cell.robot.recover()


def test_f10_a_body_without_a_length_is_refused_once_it_is_above_the_limit(url: str) -> None:
    with opened(url) as peer:
        peer.sendall(_head("/v1/step", "Transfer-Encoding: chunked"))
        chunk = b"2000\r\n" + b" " * 0x2000 + b"\r\n"
        for _ in range(MAX_BODY_BYTES // 0x2000 + 1):
            peer.sendall(chunk)
        assert " 413 " in _answer(peer).splitlines()[0]


def test_f10_a_read_needs_no_body_at_all(url: str) -> None:
    with opened(url) as peer:
        peer.sendall(_head("/v1/state", f"Content-Length: {MAX_BODY_BYTES + 1}", method="GET"))
        assert " 413 " in _answer(peer).splitlines()[0]


def test_f10_the_largest_body_is_still_understood(url: str) -> None:
    body = "{" + " " * (MAX_BODY_BYTES - 2) + "}"
    assert httpx.post(f"{url}/v1/step", content=body, trust_env=False, timeout=60.0).status_code == 200


def test_f10_a_refusal_names_few_of_many_faults(url: str) -> None:
    body = '{"tcp_pose_in_base":[' + ",".join(["{}"] * 15000) + "]}"
    reply = httpx.post(f"{url}/v1/robot/command", content=body, trust_env=False, timeout=60.0)
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_command")
    assert len(reply.text) < 4000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/step", {str(index): 0 for index in range(5000)}),
        ("/v1/reset", {"object_poses_in_base": {str(index): [1] for index in range(5000)}}),
        ("/update_param", {str(index): True for index in range(5000)}),
    ],
)
def test_f10_of_thousands_of_faults_only_the_number_is_told(url: str, path: str, body: dict[str, object]) -> None:
    reply = httpx.post(url + path, json=body, trust_env=False, timeout=60.0)
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_command")
    assert reply.json()["message"] == "5000 fields do not validate"


@pytest.mark.parametrize("path", ["/v1/steps", "/v1/stream?rate_hz=1"])
def test_f10_a_message_above_the_limit_closes_the_websocket(url: str, path: str) -> None:
    with connect(url.replace("http", "ws") + path, proxy=None, compression=None) as peer:
        peer.send(" " * (MAX_BODY_BYTES + 1))
        with pytest.raises(ConnectionClosed) as closed:
            list(iter(peer.recv, None))
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_f10_a_slow_body_is_given_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_BODY_TIME_S", 0.2)
    with opened(url) as peer:
        peer.sendall(_head("/v1/step", "Content-Length: 10") + b"{")
        assert " 408 " in _answer(peer).splitlines()[0]


@pytest.mark.parametrize("begun", [b"", b"POST /v1/step HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_f11_a_request_that_never_comes_is_given_up(url: str, begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocols, "HEADER_TIME_S", 0.2)
    with opened(url) as peer:
        peer.sendall(begun)
        assert _answer(peer) == ""


def test_f11_the_second_request_of_a_connection_is_given_up_as_well(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocols, "HEADER_TIME_S", 0.2)
    with opened(url) as peer:
        peer.sendall(_head("/v1/clock", method="GET"))
        assert peer.recv(4096).startswith(b"HTTP/1.1 200")
        peer.sendall(b"GET /v1/clock HTTP/1.1\r\nX: ")
        assert _answer(peer) == ""


def test_f11_a_request_may_take_longer_than_its_headers_and_so_may_the_next(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert httpx.post(f"{url}/v1/control/release", trust_env=False, timeout=60.0).status_code == 204
    monkeypatch.setattr(protocols, "HEADER_TIME_S", 0.05)
    body = b'{"period_s": 0.1}'
    with opened(url) as peer:
        for _ in range(2):
            peer.sendall(_head("/v1/step", f"Content-Length: {len(body)}", f"{CLIENT_HEADER}: slow") + body)
            assert peer.recv(65536).startswith(b"HTTP/1.1 200")
        peer.sendall(_head("/v1/control/release", f"{CLIENT_HEADER}: slow"))
        assert peer.recv(4096).startswith(b"HTTP/1.1 204")
    with connect(url.replace("http", "ws") + "/v1/steps", proxy=None) as socket:
        socket.send('{"period_s": 0.1}')
        assert '"state"' in socket.recv(20.0)


def test_f11_headers_that_never_end_are_refused(url: str) -> None:
    with opened(url) as peer:
        peer.sendall(b"GET /v1/clock HTTP/1.1\r\n")
        line = b"X: " + b"x" * 8000 + b"\r\n"
        for _ in range(protocols.MAX_HEADER_BYTES // len(line) + 1):
            peer.sendall(line)
        assert " 431 " in _answer(peer).splitlines()[0]


def test_f11_thousands_of_tiny_headers_are_refused(url: str) -> None:
    with opened(url) as peer:
        peer.sendall(_head("/v1/clock", *["a:b"] * protocols.MAX_HEADERS, method="GET"))
        assert " 400 " in _answer(peer).splitlines()[0]
    with opened(url) as peer:
        peer.sendall(_head("/v1/clock", *["a:b"] * (protocols.MAX_HEADERS - 1), method="GET"))
        assert peer.recv(4096).startswith(b"HTTP/1.1 200")


def test_what_is_no_http_is_refused_in_our_form(url: str) -> None:
    with opened(url) as peer:
        peer.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert '"code":"invalid_command"' in _answer(peer)


def test_b10_a_second_request_behind_one_that_runs_ends_both(url: str, cell: rk.Workcell) -> None:
    far = cell.robot.spec.reset_joint_positions_rad.copy()
    far[-1] = 2.0
    body = rk.JointCommand(joint_positions_rad=far).model_dump_json(exclude={"kind"})
    with opened(url) as peer:
        peer.sendall(_head("/v1/robot/joint_move", f"Content-Length: {len(body)}") + body.encode())
        wait_until(lambda: cell.robot.get_state().mode == "travelling")
        peer.sendall(_head("/v1/clock", method="GET"))
        wait_until(lambda: cell.robot.get_state().mode == "holding")
    cell.robot.stop()
    cell.robot.recover()


def test_f11_one_connection_more_closes_the_longest_idle_one(url: str, few: int) -> None:
    with ExitStack() as stack:
        peers = [stack.enter_context(opened(url)) for _ in range(few)]
        for peer in peers:
            peer.sendall(_head("/v1/clock", method="GET"))
            assert peer.recv(4096).startswith(b"HTTP/1.1 200")
        one_more = stack.enter_context(opened(url))
        assert _answer(peers[0]) == ""
        for peer in (*peers[1:], one_more):
            peer.sendall(_head("/v1/clock", method="GET"))
            assert peer.recv(4096).startswith(b"HTTP/1.1 200")


def test_f11_when_no_connection_is_idle_a_stop_is_served_and_nothing_else(
    url: str, few: int, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, may_go_on = threading.Semaphore(0), threading.Event()
    spec = rk.Workcell.spec
    monkeypatch.setattr(rk.Workcell, "spec", lambda cell: (entered.release(), may_go_on.wait(20.0), spec(cell))[2])
    with ExitStack() as stack:
        for _ in range(few):
            stack.enter_context(opened(url)).sendall(_head("/v1/cell", method="GET"))
            assert entered.acquire(timeout=20.0)
        for path, method, status in (
            ("/v1/clock", "GET", 503), ("/v1/robot/recover", "POST", 503), ("/v1/robot/stop", "POST", 204),
        ):  # fmt: skip
            with opened(url) as peer:
                peer.sendall(_head(path, method=method))
                answer = peer.recv(4096).decode()
                assert f" {status} " in answer.splitlines()[0], (path, answer)
        with pytest.raises(InvalidStatus), connect(url.replace("http", "ws") + "/v1/steps", proxy=None):
            pass
        may_go_on.set()
    cell.robot.recover()


def test_f10_f11_of_whoever_has_no_token_no_body_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_BODY_TIME_S", 3600.0)
    with served(rk.make_workcell("fake"), ServerSettings(token="correct horse battery")) as url, opened(url) as peer:
        peer.sendall(_head("/v1/step", "Content-Length: 100") + b"{")
        answer = _answer(peer)
    assert answer.startswith("HTTP/1.1 401")
    assert "connection: close" in answer.lower()


def test_f11_beyond_the_reserve_for_stops_a_connection_is_closed_at_once(
    url: str, few: int, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocols, "STOP_RESERVE", 2)
    entered, may_go_on = threading.Semaphore(0), threading.Event()
    stop = cell.robot.stop_for
    monkeypatch.setattr(cell.robot, "stop_for", lambda *why: (entered.release(), may_go_on.wait(20.0), stop(*why)))
    with ExitStack() as stack:
        peers = []
        for _ in range(few + 2):
            peers.append(stack.enter_context(opened(url)))
            peers[-1].sendall(_head("/v1/robot/stop"))
            assert entered.acquire(timeout=20.0)
        assert _answer(stack.enter_context(opened(url))) == ""
        may_go_on.set()
        for peer in peers:
            assert peer.recv(4096).startswith(b"HTTP/1.1 204")
    cell.robot.recover()


def test_f11_websockets_are_fewer_than_connections(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocols, "SOCKETS_PER_ADDRESS", 2)
    assert SOCKETS_PER_ADDRESS < connections.PER_ADDRESS
    address = url.replace("http", "ws") + "/v1/steps"
    with connect(address, proxy=None), connect(address, proxy=None):
        with pytest.raises(InvalidStatus) as refused, connect(address, proxy=None):
            pass
        assert refused.value.response.status_code == 503
        assert b'"code":"busy"' in (refused.value.response.body or b"")
    wait_until(lambda: _opens(address))


def _opens(address: str) -> bool:
    try:
        with connect(address, proxy=None):
            return True
    except InvalidStatus:
        return False


def test_f11_thirteen_hundred_idle_connections_leave_room_for_a_stop() -> None:
    needed = 1300 + 256
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"this process may not open {needed} files")
    process = subprocess.Popen(
        [sys.executable, "-m", "servers", "--cell", "fake", "--clock", "real", "--port", "0"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024)),
    )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    try:
        url = wait_for_url(process)
        with ExitStack() as stack:
            for _ in range(1300):
                stack.enter_context(opened(url))
            reply = httpx.post(f"{url}/v1/robot/stop", headers={CLIENT_HEADER: "operator"}, trust_env=False, timeout=5)
            assert reply.status_code == 204
            assert httpx.get(f"{url}/v1/state", trust_env=False, timeout=60.0).json()["robot"]["mode"] == "stopped"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        process.kill()
        process.communicate()
