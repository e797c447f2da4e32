"""B9, D4: the audit log: what a person asks about afterwards is in the file, which never stands in the cell's way."""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from websockets.sync.client import connect

import robotkit as rk
from servers import ServerSettings, audit, create_app
from servers.audit import AuditLog, default_path
from servers.events import Event, EventHub
from servers.runner import BackgroundServer
from tests.serving import served, server_process
from tests.support.waiting import wait_until

ANNA = {"X-Robotkit-Client": "key of anna", "X-Robotkit-Name": "anna"}
BERT = {"X-Robotkit-Client": "key of bert", "X-Robotkit-Name": "bert"}
FAR = {"command": {"kind": "pose", "tcp_pose_in_base": [9.0, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0]}}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def log(path: Path) -> Iterator[AuditLog]:
    log = AuditLog(path, "lab")
    yield log
    log.close()


def test_b9_a_session_of_two_clients_can_be_read_afterwards(path: Path) -> None:
    box = rk.WorkspaceBox(position_min_m=[0.0, -1.0, 0.0], position_max_m=[1.0, 1.0, 1.0])
    cell = rk.make_workcell("fake", limits={"workspace": box})
    settings = ServerSettings(token="all of it", command_token="to command", audit=path, lease_timeout_s=60.0)
    with served(cell, settings) as url, httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http:
        anna, bert = ANNA | {"Authorization": "Bearer to command"}, BERT | {"Authorization": "Bearer all of it"}
        assert http.get("/v1/state").status_code == 401
        http.post("/v1/step", json={}, headers=anna)
        assert http.post("/v1/step", json=FAR, headers=anna).status_code == 409
        assert http.post("/v1/step", json={}, headers=bert).status_code == 409
        http.post("/v1/robot/stop", headers=bert)
        assert http.post("/v1/robot/recover", headers=anna).status_code == 403
        http.post("/v1/robot/recover", headers=bert)
        http.post("/v1/control/release", headers=anna)
        http.post("/v1/step", json={}, headers=bert)
        http.post("/v1/control/release", headers=bert)
    told = [(line["event"], line.get("author"), line.get("code")) for line in lines(path)]
    told = [event for event, _ in itertools.groupby(told)]
    assert told == [
        ("server_start", None, None),
        ("unauthorized", None, "unauthorized"),
        ("control_taken", "anna", None),
        ("refused", "anna", "outside_workspace"),
        ("refused", "bert", "control_held"),
        ("stop", "bert", None),
        ("recover_failed", "anna", "forbidden"),
        ("recover", "bert", None),
        ("control_released", "anna", None),
        ("control_taken", "bert", None),
        ("control_released", "bert", None),
        ("stop", "robotkit-serve", None),
        ("server_stop", None, None),
    ]
    for line in lines(path):
        assert line["cell"] == "fake"
        assert line["time"].endswith("Z")
        if line.get("author") in ("anna", "bert"):
            assert "127.0.0.1" in line.get("address", line.get("message"))
    assert "key of" not in path.read_text()


def test_b9_a_force_trip_and_a_watchdog_hold_are_in_the_log(path: Path) -> None:
    cell = rk.make_workcell("fake", clock="real", limits={"max_force_n": 20.0, "watchdog_s": 0.05})
    with (
        served(cell, ServerSettings(audit=path)) as url,
        httpx.Client(base_url=url, trust_env=False, headers=ANNA, timeout=60.0) as http,
    ):
        pose = http.get("/v1/state").json()["robot"]["tcp_pose_in_base"]
        http.post("/v1/robot/command", json={"kind": "pose", "tcp_pose_in_base": pose}).raise_for_status()
        wait_until(lambda: "hold" in [line["event"] for line in lines(path)])
        cell.robot.inner.inject_wrench(np.array([0.0, 0.0, 50.0, 0.0, 0.0, 0.0]))
        wait_until(lambda: "stop" in [line["event"] for line in lines(path)])
        health = http.get("/v1/health").json()
    hold, stop = (next(line for line in lines(path) if line["event"] == event) for event in ("hold", "stop"))
    assert hold["author"] == "watchdog"
    assert stop["author"] == health["stop"]["author"] == "safety monitor"
    assert "50" in stop["message"]
    assert stop["message"] == health["stop"]["cause"]
    assert 0.0 <= health["stopped_for_s"] < 60.0


def test_b9_a_fault_of_the_arm_is_told_once_and_a_recovery_by_whoever_asked_for_it() -> None:
    cell, events = rk.make_workcell("fake"), []
    app = create_app(cell, ServerSettings(port=0))
    with (
        BackgroundServer(app) as server,
        httpx.Client(base_url=server.url, trust_env=False, headers=ANNA, timeout=60.0) as http,
    ):
        app.state.context.events.subscribe(events.append)
        cell.robot.inner.inject_fault("a reflex")
        for _ in range(3):
            http.get("/v1/robot/state")
        cell.robot.inner.inject_fault()
        assert http.post("/v1/robot/recover").status_code == 204
        told = [(event.kind, event.message, event.author) for event in events]
    assert told == [("fault", "a reflex", "device"), ("recover", "", "anna")]


def test_b9_a_state_says_who_stopped() -> None:
    with (
        served(rk.make_workcell("fake")) as url,
        httpx.Client(base_url=url, trust_env=False, headers=ANNA, timeout=60.0) as http,
    ):
        assert http.get("/v1/health").json()["stop"] is None
        http.post("/v1/robot/stop").raise_for_status()
        assert http.get("/v1/robot/state").json()["stop"]["author"] == "anna"
        assert http.get("/v1/health").json()["stop"]["author"] == "anna"
        http.post("/v1/robot/recover").raise_for_status()
        assert http.get("/v1/health").json()["stopped_for_s"] is None


COMMANDS = [
    ("/v1/step", {"speed": 1}), ("/v1/robot/command", {}), ("/v1/robot/joint_move", {}), ("/v1/reset", {"seed": -1}),
    ("/v1/robot/compliance", {"stiffness": 1}), ("/v1/gripper/move", {"position": 2.0}),
    ("/v1/clock/advance", {"period_s": -1.0}), ("/pose", {}), ("/update_param", {"stiffness": True}), ("/set_load", {}),
    ("/move_gripper", {}),
]  # fmt: skip


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def told_server() -> Iterator[tuple[FastAPI, str]]:
    app = create_app(rk.make_workcell("fake"), ServerSettings(port=0))
    with BackgroundServer(app) as server:
        yield app, server.url


@pytest.fixture
def told_url(told_server: tuple[FastAPI, str], events: list[Event]) -> Iterator[str]:
    """A server that tells what happens to it."""
    hub = told_server[0].state.context.events
    hub.subscribe(events.append)
    yield told_server[1]
    hub._observers.remove(events.append)


def _who_was_refused(events: list[Event]) -> list[tuple[str, str, str, str]]:
    return [(event.kind, event.author, event.address, event.code) for event in events if event.kind == "refused"]


REFUSED = ("refused", "anna", "127.0.0.1", "invalid_command")


@pytest.mark.parametrize(("path", "body"), COMMANDS)
def test_b9_a_command_that_does_not_validate_is_a_refusal(
    told_url: str, events: list[Event], path: str, body: dict[str, object]
) -> None:
    assert httpx.post(told_url + path, json=body, headers=ANNA, trust_env=False, timeout=60.0).status_code == 422
    assert _who_was_refused(events) == [REFUSED]


@pytest.mark.parametrize(("path", "text"), [("/v1/steps", '{"period_s":-1}'), ("/v1/stream", '{"type":"jump"}')])
def test_b9_a_message_that_does_not_validate_is_a_refusal(
    told_url: str, events: list[Event], path: str, text: str
) -> None:
    with connect(told_url.replace("http", "ws") + path, proxy=None, additional_headers=ANNA) as socket:
        socket.send(text)
        while '"error"' not in socket.recv(20.0):
            pass
    assert _who_was_refused(events) == [REFUSED]


def test_b9_a_command_with_headers_that_cannot_be_read_is_a_refusal(told_url: str, events: list[Event]) -> None:
    with httpx.Client(
        base_url=told_url, headers={"X-Robotkit-Deadline": "soon"}, trust_env=False, timeout=60.0
    ) as http:
        assert http.post("/v1/step", json={}).status_code == 422
        assert http.get("/v1/state").status_code == 422
    assert _who_was_refused(events) == [("refused", "", "127.0.0.1", "invalid_command")]


def test_b9_a_hold_without_control_is_a_refusal(told_url: str, events: list[Event]) -> None:
    with httpx.Client(base_url=told_url, trust_env=False, timeout=60.0) as http:
        assert http.post("/v1/step", json={}, headers=BERT).status_code == 200
        assert http.post("/v1/robot/hold", headers=ANNA).status_code == 409
        http.post("/v1/control/release", headers=BERT)
    assert _who_was_refused(events) == [("refused", "anna", "127.0.0.1", "control_held")]


def test_a_flood_of_stops_is_a_few_lines_and_the_first_is_there_at_once(path: Path) -> None:
    cell = rk.make_workcell("fake")
    with (
        served(cell, ServerSettings(audit=path)) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http,
    ):
        http.post("/v1/robot/stop", headers=ANNA)
        wait_until(lambda: "anna" in [line.get("author") for line in lines(path)])
        for _ in range(50):
            http.post("/v1/robot/stop", headers=BERT)
    of_bert = [line for line in lines(path) if line["event"] == "stop" and line["author"] == "bert"]
    assert len(of_bert) < 10
    assert sum(line.get("repeated", 1) for line in of_bert) == 50
    assert all("127.0.0.1" in line["message"] for line in of_bert)


def test_what_was_counted_is_a_line_after_a_while_even_when_nothing_more_happens(
    path: Path, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "REPEAT_S", 0.02)
    for _ in range(3):
        log(Event("stop", author="a"))
    wait_until(lambda: len(lines(path)) == 2)
    assert [line.get("repeated", 1) for line in lines(path)] == [1, 2]


def test_it_appends_and_can_be_rotated(path: Path, log: AuditLog) -> None:
    path.write_text('{"event": "earlier"}\n')
    log(Event("stop", author="a"))
    wait_until(lambda: len(lines(path)) == 2)
    path.rename(path.with_suffix(".1"))
    log(Event("recover", author="a"))
    wait_until(path.exists)
    log.close()
    assert [line["event"] for line in lines(path)] == ["recover"]
    assert [line["event"] for line in lines(path.with_suffix(".1"))] == ["earlier", "stop"]


def test_a_flood_of_refusals_is_counted_and_other_events_are_all_there(path: Path, log: AuditLog) -> None:
    for i in range(1000):
        log(Event("refused", f"{i} m is too far", "a", code="step_too_large"))
    log(Event("stop", author="a"))
    log(Event("stop", author="a"))
    log.close()
    written = lines(path)
    refused = [line for line in written if line["event"] == "refused"]
    assert sum(line.get("repeated", 1) for line in refused) == 1000
    assert len(refused) < 20
    assert sum(line["event"] == "stop" for line in written) == 2


def test_f11_what_a_stranger_writes_into_a_header_fills_neither_disk_nor_memory(path: Path) -> None:
    with served(rk.make_workcell("fake"), ServerSettings(audit=path)) as url:
        long_host = {"Host": "x" * 50000}
        assert httpx.get(f"{url}/v1/state", headers=long_host, trust_env=False, timeout=60.0).status_code == 401
    refused = next(line for line in lines(path) if line["event"] == "unauthorized")
    assert "xxx" in refused["message"]
    assert len(refused["message"]) <= 1000


def test_r6_a_full_disk_ends_nothing_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    settings = ServerSettings(audit=Path("/dev/full"))
    with (
        served(rk.make_workcell("fake"), settings) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http,
    ):
        assert http.post("/v1/step", json={}).status_code == 200
        assert http.post("/v1/robot/stop").status_code == 204
        assert http.post("/v1/robot/recover").status_code == 204
        wait_until(lambda: "robotkit_audit_lost_lines 4.0" in http.get("/metrics").text)
    assert caplog.text.count("cannot be written") == 1


def test_a_line_that_the_disk_took_half_of_spoils_no_other(
    path: Path, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr("servers.audit.os.write", lambda file, data: write(file, data[: len(data) // 2]))
    log(Event("stop", author="torn"))
    wait_until(lambda: log.lost == 1)
    monkeypatch.setattr("servers.audit.os.write", write)
    log(Event("stop", author="whole"))
    log.close()
    last = path.read_text().splitlines()[-1]
    assert json.loads(last)["author"] == "whole"


def test_what_happens_while_no_thread_can_be_started_is_written_with_what_follows(
    path: Path, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        log(Event("stop", author="anna"))
    log(Event("recover", author="bert"))
    log.close()
    assert [line["author"] for line in lines(path)] == ["anna", "bert"]


def test_a_disk_that_hangs_delays_neither_a_stop_nor_the_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(AuditLog, "_append", lambda log, data: release.wait())
    try:
        with (
            served(rk.make_workcell("fake"), ServerSettings(audit=path)) as url,
            httpx.Client(base_url=url, trust_env=False, timeout=10.0) as http,
        ):
            assert http.post("/v1/robot/stop").status_code == 204
            assert http.get("/v1/health").json()["status"] == "stopped"
    finally:
        release.set()


def test_r6_what_a_disk_that_hangs_has_no_room_for_is_counted_and_the_end_is_not_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hangs, release = threading.Event(), threading.Event()
    monkeypatch.setattr(audit, "_QUEUE_MAX", 2)
    monkeypatch.setattr(audit, "_CLOSE_WAIT_S", 0.01)
    log = AuditLog(path, "lab")
    monkeypatch.setattr(log, "_append", lambda data: (hangs.set(), release.wait(20.0)))
    log(Event("hold"))
    assert hangs.wait(20.0)
    for _ in range(5):
        log(Event("hold"))
    assert log.lost == 3
    log.close()
    assert "too slow; its last lines are lost" in caplog.text
    release.set()


def test_an_observer_that_fails_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    hub, told = EventHub(), []

    def broken(event: Event) -> None:
        raise ZeroDivisionError

    hub.subscribe(broken)
    hub.subscribe(told.append)
    hub.tell(Event("stop"))
    assert told == [Event("stop")]
    assert "ZeroDivisionError" in caplog.text


def test_a_file_that_cannot_be_written_is_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(rk.InvalidConfiguration, match="--audit off"):
        AuditLog(tmp_path / "missing" / "audit.jsonl", "lab")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"STATE_DIRECTORY": "/var/lib/robotkit:/other", "HOME": "/root"}, "/var/lib/robotkit/audit-a_b.jsonl"),
        ({"XDG_STATE_HOME": "/state", "HOME": "/root"}, "/state/robotkit/audit-a_b.jsonl"),
        ({"HOME": "/root"}, "/root/.local/state/robotkit/audit-a_b.jsonl"),
        ({}, None),
    ],
)
def test_r10_the_default_place_needs_no_home(environment: dict[str, str], expected: str | None) -> None:
    assert default_path("a/b", environment) == (Path(expected) if expected else None)


def test_a_served_process_writes_its_last_line(path: Path) -> None:
    with server_process("--cell", "fake", "--audit", str(path)) as (url, process):
        with httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http:
            http.post("/v1/robot/stop", headers=ANNA)
        process.terminate()
        process.wait(20)
    told = [event for event, _ in itertools.groupby((line["event"], line.get("author")) for line in lines(path))]
    assert [event for event, _ in told] == ["server_start", "stop", "stop", "server_stop"]


def test_the_first_line_of_a_process_is_not_glued_to_a_torn_one_of_the_process_before(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for before, kept in ((b'{"time": "20', 2), (b'{"event": "stop"}\n', 2), (b"", 1)):
        path.write_bytes(before)
        log = AuditLog(path, "fake")
        log(Event("server_start"))
        log.close()
        written = path.read_bytes().splitlines()
        assert len(written) == kept
        assert json.loads(written[-1])["event"] == "server_start"


def test_u4_a_pipe_that_nobody_reads_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(rk.InvalidConfiguration, match="--audit"):
        AuditLog(tmp_path / "pipe", "fake")
