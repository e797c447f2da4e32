"""D4: what Prometheus reads."""

from __future__ import annotations

from pathlib import Path

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

import robotkit as rk
from servers import ServerSettings
from tests.serving import served

ANNA = {"X-Robotkit-Client": "key of anna", "X-Robotkit-Name": "anna"}


def samples(http: httpx.Client) -> dict[str, float]:
    reply = http.get("/metrics")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/plain; version=")
    return {
        sample.name + "".join(f"{{{label}}}" for label in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


def test_the_arm_and_what_happened_to_it_are_counted() -> None:
    with served(rk.make_workcell("fake")) as url, httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http:
        before = samples(http)
        assert before["robotkit_up"] == before["robotkit_robot_mode{holding}"] == 1.0
        assert before["robotkit_controlled"] == before["robotkit_robot_mode{stopped}"] == 0.0
        assert before["robotkit_command_seconds_count"] == 0.0
        http.post("/v1/step", json={}, headers=ANNA)
        http.post("/v1/step", json={})
        http.post("/v1/robot/stop")
        http.post("/clearerr")
        after = samples(http)
        assert after["robotkit_command_seconds_count"] == 1.0
        assert after["robotkit_refusals_total{control_held}"] == 1.0
        assert after["robotkit_events_total{control_taken}"] == after["robotkit_events_total{stop}"] == 1.0
        assert after["robotkit_robot_mode{stopped}"] == after["robotkit_controlled"] == 1.0
        assert after["robotkit_serl_clear_requests"] == 1.0
        assert after["process_resident_memory_bytes"] > 1e6


def test_what_was_measured_is_there_in_its_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = rk.make_workcell("fake")
    with cell:
        state = cell.robot.get_state()
    measured = {
        "wrench_in_tcp": np.array((3.0, 0.0, 4.0, 0.0, 0.6, 0.8)),
        "tcp_twist_in_base": np.array((0.0, 0.3, 0.4, 7.0, 7.0, 7.0)),
        "control_success_rate": 0.75,
    }
    with served(cell) as url, httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http:
        monkeypatch.setattr(cell.robot, "get_state", lambda: state.model_copy(update=measured))
        monkeypatch.setattr(cell.clock, "now_s", lambda: state.stamp_s + 0.25)
        found = samples(http)
    for name, value in (
        ("tool_force_newtons", 5.0), ("tool_torque_newton_meters", 1.0), ("tool_speed_meters_per_second", 0.5),
        ("control_success_ratio", 0.75), ("state_age_seconds", 0.25),
    ):  # fmt: skip
        assert found[f"robotkit_{name}"] == pytest.approx(value), name


def test_time_counts_once_for_each_command_and_lost_lines_once_for_each_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with (
        served(rk.make_workcell("fake"), ServerSettings(audit=path)) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http,
    ):
        for period_s in (0.0, 0.5):
            http.post("/v1/step", json={"period_s": period_s}, headers=ANNA)
        found = samples(http)
        assert found["robotkit_command_seconds_count"] == found["robotkit_command_seconds_bucket{+Inf}"] == 2.0
        assert found["robotkit_audit_lost_lines"] == 0.0


def test_two_servers_in_a_process_count_apart() -> None:
    with served(rk.make_workcell("fake")) as one, served(rk.make_workcell("fake")) as other:
        httpx.post(f"{one}/v1/robot/stop", trust_env=False, timeout=60.0)
        with httpx.Client(base_url=other, trust_env=False, timeout=60.0) as http:
            assert "robotkit_events_total{stop}" not in samples(http)


def test_an_arm_that_cannot_be_measured_is_down_and_the_rest_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def unplugged() -> rk.RobotState:
        raise rk.NotConnected("unplugged")

    cell = rk.make_workcell("fake")
    with served(cell) as url, httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http:
        monkeypatch.setattr(cell.robot, "get_state", unplugged)
        found = samples(http)
        assert found["robotkit_up"] == 0.0
        assert "robotkit_robot_mode{holding}" not in found
        assert found["robotkit_events_total{server_start}"] == 1.0


def test_reading_the_metrics_needs_a_token() -> None:
    settings = ServerSettings(token="all of it", read_token="to read it")
    with (
        served(rk.make_workcell("fake"), settings) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http,
    ):
        assert http.get("/metrics").status_code == 401
        assert http.get("/metrics", headers={"Authorization": "Bearer to read it"}).status_code == 200
