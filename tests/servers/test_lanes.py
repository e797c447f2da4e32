"""Stop, recovery, state and health never wait for what other requests occupy."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from websockets.sync.client import connect

import robotkit as rk
import servers
from robotkit.schema.wire import CLIENT_HEADER
from servers import ServerSettings, create_app, standing
from servers.runner import BackgroundServer
from tests.serving import served
from tests.support.waiting import wait_until

POSE = {"kind": "pose", "tcp_pose_in_base": [0.5, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0]}
PATIENCE_S = 10.0


@pytest.fixture
def cell() -> rk.Workcell:
    return rk.make_workcell("fake", clock="real")


@pytest.fixture
def url(cell: rk.Workcell) -> Iterator[str]:
    with served(cell) as running:
        yield running


@contextmanager
def hanging(
    cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch, name: str
) -> Iterator[tuple[threading.Semaphore, threading.Event]]:
    """The arm's method `name` hangs until the event is set; each call releases the semaphore first."""
    entered, may_go_on = threading.Semaphore(0), threading.Event()

    def hang(*arguments: object) -> None:
        entered.release()
        may_go_on.wait(60.0)
        raise rk.DeviceFault("it hung")

    with monkeypatch.context() as patch:
        patch.setattr(cell.robot, name, hang)
        yield entered, may_go_on


@contextmanager
def flooding(
    url: str, count: int, method: str, path: str, client: str | None, may_end: threading.Event
) -> Iterator[list[int]]:
    """Ask `count` times at once, each under a name of its own or all as `client`; the statuses arrive in the list."""
    answers: list[int] = []

    def ask(http: httpx.Client, index: int) -> None:
        sends_pose = method == "POST" and path != "/v1/robot/recover"
        body = {"arr": POSE["tcp_pose_in_base"]} if path == "/pose" else POSE if sends_pose else None
        headers = {CLIENT_HEADER: client or str(index)}
        answers.append(http.request(method, path, json=body, headers=headers).status_code)

    with httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http:
        threads = [threading.Thread(target=ask, args=(http, index)) for index in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield answers
        finally:
            may_end.set()
            for thread in threads:
                thread.join(60.0)


class _Full:
    """A lane in which nothing is ever carried out."""

    async def run(self, *work: object) -> None:
        await asyncio.Event().wait()

    def join(self, *work: object) -> asyncio.Task[None]:
        return asyncio.create_task(self.run())


LANE_OF = {
    ("POST", "/v1/robot/stop"): "stop",
    ("POST", "/v1/robot/hold"): "holds",
    ("POST", "/stopimp"): "holds",
    ("POST", "/v1/control/release"): "holds",
    ("POST", "/v1/robot/recover"): "recover",
    ("GET", "/v1/robot/state"): "arm",
    ("GET", "/v1/cell"): "reads",
    ("GET", "/v1/clock"): "reads",
    ("GET", "/v1/state"): "reads",
    ("GET", "/v1/gripper/state"): "devices",
    ("GET", "/v1/trackers/block"): "devices",
    ("POST", "/getpos"): "arm",
    ("POST", "/getstate"): "arm devices",
    ("POST", "/get_gripper"): "devices",
    ("POST", "/startimp"): "arm",
    ("GET", "/v1/cameras/wrist/frame"): "images",
    ("GET", "/v1/health"): "arm health",
    ("GET", "/metrics"): "arm health",
    ("GET", "/openapi.json"): "health",
    ("GET", "/v1/protocol"): "",
    ("POST", "/v1/control/heartbeat"): "",
    ("POST", "/clearerr"): "",
}


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(rk.make_workcell("fake"), ServerSettings(port=0))


@pytest.fixture(scope="module")
def app_url(app: FastAPI) -> Iterator[str]:
    with BackgroundServer(app) as server:
        yield server.url


@pytest.mark.parametrize(("method", "path"), LANE_OF)
def test_b2_each_thing_needs_its_own_lane_and_no_other(
    app: FastAPI, app_url: str, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    lanes = app.state.context.lanes
    for name in {*vars(lanes)} - {*LANE_OF[method, path].split()}:
        monkeypatch.setattr(lanes, name, _Full())
    assert httpx.request(method, app_url + path, trust_env=False, timeout=PATIENCE_S).is_success


@pytest.mark.parametrize("path", ["/v1/robot/command", "/pose"])
def test_b2_blocked_commands_leave_everything_else_free(
    url: str, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    with (
        httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http,
        hanging(cell, monkeypatch, "send") as (entered, may_go_on),
        flooding(url, 60, "POST", path, "tester", may_go_on) as answers,
    ):
        assert entered.acquire(timeout=PATIENCE_S)
        for method, other in (
            ("POST", "/v1/robot/stop"),
            ("GET", "/v1/robot/state"),
            ("GET", "/v1/state"),
            ("GET", "/v1/health"),
            ("POST", "/v1/robot/recover"),
            ("GET", "/openapi.json"),
        ):
            assert http.request(method, other, timeout=PATIENCE_S).status_code in (200, 204), other
        if path.startswith("/v1"):
            wait_until(lambda: len(answers) >= 52)
            assert set(answers) == {409}


def test_b2_reads_that_hang_leave_stop_and_recovery_free(
    url: str, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http,
        hanging(cell, monkeypatch, "get_state") as (entered, may_go_on),
        flooding(url, 60, "GET", "/v1/robot/state", None, may_go_on),
    ):
        assert entered.acquire(timeout=PATIENCE_S)
        assert http.post("/v1/robot/stop", timeout=PATIENCE_S).status_code == 204
        assert http.post("/v1/robot/recover", timeout=PATIENCE_S).status_code == 204


def test_b2_serl_reads_that_hang_leave_its_hold_free(
    url: str, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http,
        hanging(cell, monkeypatch, "get_state") as (entered, may_go_on),
        flooding(url, 60, "POST", "/getstate", None, may_go_on),
    ):
        assert entered.acquire(timeout=PATIENCE_S)
        assert http.post("/stopimp", timeout=PATIENCE_S).status_code == 200
        assert http.post("/v1/robot/stop", timeout=PATIENCE_S).status_code == 204


def test_b2_recoveries_that_hang_leave_stop_free(url: str, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http,
        hanging(cell, monkeypatch, "recover") as (entered, may_go_on),
        flooding(url, 20, "POST", "/v1/robot/recover", None, may_go_on),
    ):
        assert entered.acquire(timeout=PATIENCE_S)
        assert http.post("/v1/robot/stop", timeout=PATIENCE_S).status_code == 204
        assert http.get("/v1/robot/state", timeout=PATIENCE_S).json()["mode"] == "stopped"


@pytest.mark.parametrize("path", ["/v1/robot/hold", "/stopimp", "/v1/control/release"])
def test_b2_holds_that_hang_leave_stop_free(
    url: str, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(standing, "_is_at_rest", lambda _: False)
    with httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http:
        assert http.post("/v1/step", json={}, headers={CLIENT_HEADER: "tester"}).status_code == 200
        with (
            hanging(cell, monkeypatch, "hold") as (entered, may_go_on),
            flooding(url, 70, "POST", path, "tester", may_go_on),
        ):
            assert entered.acquire(timeout=PATIENCE_S)
            assert http.post("/v1/robot/stop", timeout=PATIENCE_S).status_code == 204
            assert http.get("/v1/robot/state", timeout=PATIENCE_S).json()["mode"] == "stopped"


def _is_on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@pytest.mark.parametrize(
    "path", ["/v1/step", "/v1/robot/command", "/v1/robot/compliance", "/v1/gripper/move", "/pose", "/update_param"]
)
def test_f10_no_body_is_parsed_on_the_event_loop(
    app: FastAPI, app_url: str, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    parsed: list[bool] = []
    parse = app.state.context.parse_command
    monkeypatch.setattr(
        app.state.context, "parse_command", lambda *given: (parsed.append(_is_on_event_loop()), parse(*given))[1]
    )
    assert httpx.post(app_url + path, content=b"[" * 60_000, trust_env=False, timeout=60.0).status_code == 422
    assert parsed == [False]


def test_f10_a_long_message_of_a_stream_is_not_parsed_on_the_event_loop(
    app: FastAPI, app_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[bool] = []
    parse = app.state.context.parse_command
    monkeypatch.setattr(
        app.state.context, "parse_command", lambda *given: (parsed.append(_is_on_event_loop()), parse(*given))[1]
    )
    with connect(app_url.replace("http", "ws") + "/v1/stream?rate_hz=0.1", proxy=None) as peer:
        peer.send("[" * 60_000)
        wait_until(lambda: parsed == [False])
        peer.send('{"type": "ack", "seq": 1}')
        wait_until(lambda: parsed == [False, True])


def test_b2_whatever_else_asks_for_a_thread_none_is_one_of_those_for_stops() -> None:
    users = [
        path.name
        for path in Path(servers.__file__).parent.rglob("*.py")
        for _ in re.findall(r"lanes\.stop\b", path.read_text())
    ]
    assert sorted(users) == ["robot.py", "runner.py"], "the route, and Ctrl+Z in the server's terminal"
