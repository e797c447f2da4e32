"""An error that a driver should not raise is a fault of the arm, is answered, and is logged once."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import robotkit as rk
from robotkit.safety import SafeRobot
from servers import ServerSettings
from tests.serving import served


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    cell = rk.make_workcell("fake")
    with (
        served(cell) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60.0) as client,
        monkeypatch.context() as patch,
    ):

        def fail() -> None:
            raise ValueError("a driver's own mistake")

        patch.setattr(cell.robot, "get_state", fail)
        yield client


def test_b6_health_calls_it_a_fault(http: httpx.Client) -> None:
    health = http.get("/v1/health").json()
    assert (health["status"], health["robot_mode"]) == ("fault", "fault")
    assert "ValueError: a driver's own mistake" in health["problems"][0]


def test_b6_the_metrics_say_that_the_arm_cannot_be_measured(http: httpx.Client) -> None:
    answer = http.get("/metrics")
    assert answer.status_code == 200
    assert "robotkit_up 0.0" in answer.text


def test_b6_it_is_logged_with_one_traceback_however_often_it_comes(
    http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answers = [http.get(path) for path in ("/v1/robot/state", "/v1/health", "/metrics") for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200, 500}
    assert answers[0].json()["message"] == "the server failed: ValueError: a driver's own mistake"
    assert len([record for record in caplog.records if record.exc_info]) <= 1


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_b6_a_command_that_raises_what_ends_a_program_is_answered_by_a_fault(
    kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = rk.make_workcell("fake", clock="real")

    def fail(command: object) -> None:
        raise kind("its own")

    with served(cell) as url, rk.make_workcell(url) as remote:
        pose = remote.robot.get_state().tcp_pose_in_base
        monkeypatch.setattr(cell.robot.inner, "_follow", fail)
        body = {"command": {"kind": "pose", "tcp_pose_in_base": pose.tolist()}}
        answer = httpx.post(f"{url}/v1/step", json=body, trust_env=False, timeout=60.0)
        assert (answer.status_code, answer.json()["code"]) == (503, "device_fault")
        assert httpx.post(f"{url}/v1/control/release", trust_env=False, timeout=60.0).status_code == 204
        with pytest.raises(rk.DeviceFault, match=kind.__name__):
            remote.step(rk.PoseCommand(tcp_pose_in_base=pose))
        assert remote.health().status == "ok"


@pytest.mark.parametrize("kind", [SystemExit, asyncio.CancelledError])
@pytest.mark.parametrize(
    ("device", "method", "verb", "path"),
    [
        ("robot", "_hold", "POST", "/v1/robot/hold"),
        ("robot", "_hold", "POST", "/stopimp"),
        ("robot", "_halt", "POST", "/v1/robot/stop"),
        ("robot", "_clear_faults", "POST", "/v1/robot/recover"),
        ("robot", "_start", "POST", "/v1/robot/recover"),
        ("gripper", "get_state", "GET", "/v1/gripper/state"),
        ("gripper", "get_state", "POST", "/get_gripper"),
        ("gripper", "move", "POST", "/v1/gripper/open"),
        ("camera", "read", "GET", "/v1/cameras/front/frame"),
        ("tracker", "get_pose", "GET", "/v1/trackers/block"),
    ],
)
def test_b6_a_driver_that_raises_what_ends_a_program_ends_no_server_whatever_was_asked_of_it(
    kind: type[BaseException], device: str, method: str, verb: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = rk.make_workcell("fake", clock="real")
    gripper, arm = cell.gripper, cell.robot
    assert gripper is not None
    assert isinstance(arm, SafeRobot)
    devices = {
        "robot": arm.inner,
        "gripper": getattr(gripper, "inner", gripper),
        "camera": cell.cameras["front"],
        "tracker": cell.trackers["block"],
    }

    def fail(*given: object) -> None:
        raise kind("its own")

    with served(cell) as url, httpx.Client(base_url=url, trust_env=False, timeout=60.0) as client:
        if path.endswith("recover"):
            assert client.post("/v1/robot/stop").status_code == 204
        with monkeypatch.context() as patch:
            patch.setattr(devices[device], method, fail)
            answer = client.request(verb, path)
        assert (answer.status_code, answer.json()["code"]) == (503, "device_fault")
        assert kind.__name__ in answer.json()["message"]
        assert client.get("/v1/state").status_code == 200
        assert client.post("/v1/robot/stop").status_code == 204
        assert client.get("/v1/robot/state").json()["mode"] == "stopped"


@pytest.mark.parametrize("kind", [SystemExit, ValueError])
def test_b9_a_hold_and_a_recovery_that_end_in_a_drivers_own_way_are_in_the_audit_log(
    kind: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = rk.make_workcell("fake", clock="real")
    log = tmp_path / "audit.jsonl"
    assert isinstance(cell.robot, SafeRobot)

    def fail(*given: object) -> None:
        raise kind("its own")

    with (
        served(cell, ServerSettings(audit=log)) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60.0) as client,
    ):
        with monkeypatch.context() as patch:
            patch.setattr(cell.robot.inner, "_hold", fail)
            client.post("/v1/robot/hold")
        client.post("/v1/robot/stop")
        with monkeypatch.context() as patch:
            patch.setattr(cell.robot.inner, "_clear_faults", fail)
            client.post("/v1/robot/recover")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    told = {event["event"]: event["message"] for event in events if event["event"] in ("hold", "recover_failed")}
    assert set(told) == {"hold", "recover_failed"}
    assert all("its own" in message for message in told.values())
