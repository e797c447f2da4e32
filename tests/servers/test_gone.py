"""A client that is gone: what it waits for is dropped or ends, by whatever way it came in."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import robotkit as rk
from robotkit.schema.wire import CLIENT_HEADER, HEARTBEAT_HEADER
from servers import ServerSettings, create_app, gate, standing
from servers.lanes import Lane
from servers.runner import BackgroundServer
from servers.turns import QUEUE_LENGTH
from tests.support.waiting import wait_until

HELD_WITHIN_S = 0.2
"""Asserted with a margin for a loaded machine; the motion that ends would last a hundred times longer."""
MARGIN_S = 2.0
FAR_RAD = 2.0


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
def http(url: str, cell: rk.Workcell) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={CLIENT_HEADER: "tester"}, trust_env=False, timeout=30.0) as client:
        client.post("/v1/robot/recover")
        yield client
        cell.robot.stop()
        cell.robot.recover()
        wait_until(lambda: client.post("/v1/control/release").status_code == 204 and _holder(client) is None)


def _holder(client: httpx.Client) -> object:
    return client.get("/v1/health").json()["controlled_by"]


@contextmanager
def asking(url: str, path: str, body: object, **headers: str) -> Iterator[socket.socket]:
    """A bare socket over which one POST has gone out and no answer has come."""
    address = urlsplit(url)
    content = json.dumps(body)
    lines = [f"POST {path} HTTP/1.1", f"Host: {address.netloc}", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with closing(socket.create_connection((address.hostname, address.port))) as peer:
        peer.sendall("\r\n".join([*lines, "", content]).encode())
        yield peer


def _far(cell: rk.Workcell) -> list[float]:
    """The reset configuration with the last joint turned by `FAR_RAD`: inside every limit."""
    far = cell.robot.spec.reset_joint_positions_rad.copy()
    far[-1] = FAR_RAD
    return [float(angle) for angle in far]


def _moves(cell: rk.Workcell) -> bool:
    return bool(abs(cell.robot.get_state().joint_velocities_rad_s).max() > 1e-3)


@pytest.mark.parametrize("path", ["/v1/robot/joint_move", "/v1/robot/reset", "/v1/reset", "/jointreset"])
def test_b10_a_motion_ends_when_its_client_is_gone(
    url: str, http: httpx.Client, cell: rk.Workcell, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell, "world", None)
    monkeypatch.setattr(cell.robot, "reset", lambda: cell.robot.move_to_joint_positions(np.array(_far(cell))))
    with asking(url, path, {"joint_positions_rad": _far(cell)} if "move" in path else {}, **{CLIENT_HEADER: "tester"}):
        wait_until(lambda: _moves(cell))
    assert wait_until(lambda: not _moves(cell)) < HELD_WITHIN_S + MARGIN_S
    assert cell.robot.get_state().joint_positions_rad[-1] < FAR_RAD - 0.1
    assert http.post("/v1/robot/hold").status_code == 204


def test_b10_a_client_that_promised_a_heartbeat_and_is_silent_counts_as_gone(
    url: str, http: httpx.Client, app: FastAPI, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.state.context.lanes, "commands", Lane(1))
    headers = {CLIENT_HEADER: "tester", HEARTBEAT_HEADER: "0.3"}
    with asking(url, "/v1/robot/joint_move", {"joint_positions_rad": _far(cell)}, **headers) as peer:
        peer.settimeout(20.0)
        answer = peer.recv(4096).decode()
    assert "503" in answer.splitlines()[0]
    assert "motion_failed" in answer
    assert not _moves(cell)


def test_b10_a_heartbeat_keeps_the_motion_going(url: str, http: httpx.Client, cell: rk.Workcell) -> None:
    headers = {CLIENT_HEADER: "tester", HEARTBEAT_HEADER: "1.5"}
    with asking(url, "/v1/robot/joint_move", {"joint_positions_rad": _far(cell)}, **headers):
        wait_until(lambda: _moves(cell))
        end_s = time.monotonic() + 3.0
        while time.monotonic() < end_s:
            assert http.post("/v1/control/heartbeat").status_code == 204
            assert _moves(cell)


def test_b10_the_client_library_keeps_its_heartbeat(url: str, cell: rk.Workcell) -> None:
    short = cell.robot.get_state().joint_positions_rad.copy()
    short[-1] += 0.2
    with rk.make_workcell("remote", url=url) as remote:
        remote.robot.recover()
        remote.robot.move_to_joint_positions(short)
    assert cell.robot.get_state().joint_positions_rad[-1] == pytest.approx(short[-1], abs=0.01)


def test_nobody_is_dropped_who_got_its_answer(
    url: str, http: httpx.Client, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: list[object] = []
    monkeypatch.setattr(app.state.context.control, "drop", dropped.append)
    for watched_after_s in (gate._WATCHED_AFTER_S, 0.0):
        monkeypatch.setattr(gate, "_WATCHED_AFTER_S", watched_after_s)
        assert http.post("/v1/gripper/open", headers={HEARTBEAT_HEADER: "60"}).status_code == 204
        # By the end of this one the watch over the other would have begun, and have seen its end.
        assert http.post("/v1/step", json={"period_s": 0.05}).status_code == 200
    assert dropped == []
    wait_until(lambda: not app.state.context.heartbeats._callers)


@pytest.mark.parametrize("way", ["/v1/step", "/v1/steps"])
def test_f9_a_long_step_ends_when_its_client_is_gone(
    url: str, http: httpx.Client, app: FastAPI, cell: rk.Workcell, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.state.context.lanes, "commands", Lane(1))  # whoever waits for it waits for the step
    waits, held = threading.Event(), threading.Event()
    advance, hold = cell.clock.advance, cell.robot.hold
    monkeypatch.setattr(cell.clock, "advance", lambda period_s: (waits.set(), advance(period_s)))
    monkeypatch.setattr(cell.robot, "hold", lambda: (hold(), held.set()))
    if way == "/v1/step":
        with asking(url, way, {"period_s": 10.0}, **{CLIENT_HEADER: "tester"}):
            assert waits.wait(20.0)
    else:
        with connect(url.replace("http", "ws") + way, additional_headers={CLIENT_HEADER: "tester"}) as peer:
            peer.send('{"period_s": 10.0}')
            assert waits.wait(20.0)
    assert held.wait(20.0)
    # Control is free once the arm holds; the step itself would have gone on for ten seconds.
    wait_until(lambda: http.post("/v1/step", json={"period_s": 0.0}).status_code == 200, 5.0)


def test_b10_who_sends_more_steps_than_may_wait_is_told_so_held_and_closed(
    url: str, http: httpx.Client, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts, woken, steps = threading.Event(), threading.Event(), []
    hold, held = cell.robot.hold, []
    monkeypatch.setattr(cell.robot, "hold", lambda: (held.append(woken.is_set()), hold()))
    monkeypatch.setattr(cell.clock, "wake", woken.set)
    monkeypatch.setattr(cell.clock, "advance", lambda _: (steps.append(1), acts.set(), woken.wait(20.0)))
    with connect(url.replace("http", "ws") + "/v1/steps", additional_headers={CLIENT_HEADER: "tester"}) as peer:
        peer.send('{"seq": 1, "period_s": 1.0}')
        assert acts.wait(20.0)
        for seq in range(QUEUE_LENGTH + 1):
            peer.send(f'{{"seq": {seq + 2}, "period_s": 1.0}}')
        answer = json.loads(peer.recv(20.0))
        assert (answer["type"], answer["code"]) == ("error", "busy")
        assert f"{QUEUE_LENGTH} steps" in answer["message"]
        with pytest.raises(ConnectionClosed) as closed:
            peer.recv(20.0)
        assert closed.value.rcvd.code == 1008
    wait_until(lambda: _holder(http) is None)
    assert held[0] is False  # before the step was woken
    assert len(steps) == 1


def test_f9_queued_commands_of_a_client_that_is_gone_never_start(
    url: str, http: httpx.Client, app: FastAPI, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[object] = []
    entered, may_go_on = threading.Event(), threading.Event()

    def slow(command: rk.RobotCommand) -> rk.RobotCommand:
        sent.append(command)
        entered.set()
        assert may_go_on.wait(20.0)
        return command

    monkeypatch.setattr(cell.robot, "send", slow)
    pose = {"kind": "pose", "tcp_pose_in_base": cell.robot.get_state().tcp_pose_in_base.tolist()}
    queue = app.state.context.turns._queue
    with asking(url, "/v1/robot/command", pose, **{CLIENT_HEADER: "tester"}):
        assert entered.wait(20.0)
        with asking(url, "/v1/robot/command", pose, **{CLIENT_HEADER: "tester"}):
            wait_until(lambda: len(queue) == 2)
        wait_until(lambda: len(queue) == 1)
        may_go_on.set()
        wait_until(lambda: not queue)
    assert len(sent) == 1


def test_b10_hold_ends_a_blocking_motion_and_is_not_queued_behind_it(
    url: str, http: httpx.Client, cell: rk.Workcell
) -> None:
    with asking(url, "/v1/robot/joint_move", {"joint_positions_rad": _far(cell)}, **{CLIENT_HEADER: "tester"}) as peer:
        wait_until(lambda: _moves(cell))
        busy = http.post("/v1/robot/joint_move", json={"joint_positions_rad": _far(cell)})
        assert (busy.status_code, busy.json()["code"]) == (409, "busy")
        assert http.post("/v1/robot/hold").status_code == 204
        peer.settimeout(20.0)
        assert "motion_failed" in peer.recv(4096).decode()
    assert not _moves(cell)


def test_the_arm_holds_when_control_is_given_up_and_not_once_more_for_the_next_client(
    url: str, http: httpx.Client, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    hold, send = cell.robot.hold, cell.robot.send
    monkeypatch.setattr(cell.robot, "hold", lambda: (calls.append("hold"), hold()))
    monkeypatch.setattr(cell.robot, "send", lambda command: (calls.append("send"), send(command))[1])
    pose = {"kind": "pose", "tcp_pose_in_base": cell.robot.get_state().tcp_pose_in_base.tolist()}
    for client in ("tester", "tester", "other", "tester"):
        assert http.post("/v1/robot/command", json=pose, headers={CLIENT_HEADER: client}).status_code == 200
        assert http.post("/v1/control/release", headers={CLIENT_HEADER: client}).status_code == 204
        calls.append("|")
    rounds = "".join(f"{call} " for call in calls).split("| ")
    assert [one.split() for one in rounds[1:4]] == [["send", "hold"]] * 3, "one that holds is told nothing by the next"


def _command_over(connection: HTTPConnection, cell: rk.Workcell, times: int) -> None:
    """Send the tool upwards, 3 cm above where it is now, so many times."""
    for _ in range(times):
        pose = cell.robot.get_state().tcp_pose_in_base.copy()
        pose[2] = min(pose[2] + 0.03, 0.55)
        body = rk.PoseCommand(tcp_pose_in_base=pose).model_dump_json()
        connection.request("POST", "/v1/robot/command", body, {CLIENT_HEADER: "tester"})
        assert connection.getresponse().read()


def test_control_is_free_once_the_arm_holds_and_whoever_has_none_gives_up_none(
    url: str, http: httpx.Client, app: FastAPI, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[object] = []
    hold = cell.robot.hold
    assert http.post("/v1/step", json={}).status_code == 200
    monkeypatch.setattr(standing, "_is_at_rest", lambda _: False)
    monkeypatch.setattr(cell.robot, "hold", lambda: (held.append(app.state.context.lease.holder), hold()))
    assert http.post("/v1/control/release", headers={CLIENT_HEADER: "another"}).status_code == 204
    assert _holder(http) is not None
    assert not held
    assert http.post("/v1/control/release").status_code == 204
    assert _holder(http) is None
    assert len(held) == 1
    assert held[0] is not None


@pytest.mark.parametrize(("times", "holds"), [(3, True), (1, False)])
def test_f17_who_commands_over_a_kept_connection_and_closes_it_is_gone(
    url: str, http: httpx.Client, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch, times: int, holds: bool
) -> None:
    held = threading.Event()
    hold = cell.robot.hold
    monkeypatch.setattr(cell.robot, "hold", lambda: (hold(), held.set()))
    address = urlsplit(url)
    with closing(HTTPConnection(str(address.hostname), address.port)) as connection:
        _command_over(connection, cell, times)
        held.clear()
    assert held.wait(HELD_WITHIN_S + MARGIN_S if holds else 0.3) == holds
    if holds:
        wait_until(lambda: _holder(http) is None)


def test_f17_a_connection_of_somebody_else_that_closes_takes_control_from_nobody(
    url: str, http: httpx.Client, app: FastAPI, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, lost = threading.Event(), threading.Event()
    hold, connections = cell.robot.hold, app.state.connections
    on_lost = connections.on_lost
    monkeypatch.setattr(connections, "on_lost", lambda connection: (on_lost(connection), lost.set()))
    for _ in range(3):
        assert http.post("/v1/step", json={}).status_code == 200
    monkeypatch.setattr(cell.robot, "hold", lambda: (hold(), held.set()))
    address = urlsplit(url)
    with closing(HTTPConnection(str(address.hostname), address.port)) as reader:
        reader.request("GET", "/v1/clock")
        assert reader.getresponse().read()
    assert lost.wait(20.0)
    wait_until(lambda: not app.state.context.control._tasks)
    assert not held.is_set()
    assert _holder(http) is not None
