"""An error that a driver should not raise is a fault of the arm, is answered, and is logged once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import httpx
import pytest

import robotkit as rk
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
