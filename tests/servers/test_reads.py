"""A device that hangs while it is measured hides no other, and neither a stop nor whether it acts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

import robotkit as rk
from servers import ServerSettings, reads
from servers.lanes import JoiningLane
from tests.serving import served
from tests.support.waiting import wait_until

READERS = 20
"""More than there are threads for reads."""
PATIENCE_S = 10.0


class Hang:
    """Calls that do not return until the test ends."""

    def __init__(self) -> None:
        self.may_return = threading.Event()
        self.entered = threading.Semaphore(0)

    def __call__(self) -> None:
        self.entered.release()
        self.may_return.wait(60.0)
        raise rk.DeviceFault("it hung")


@pytest.fixture
def hang() -> Iterator[Hang]:
    hanging = Hang()
    yield hanging
    hanging.may_return.set()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that hangs is reported soon."""
    monkeypatch.setattr(reads, "DEVICE_S", 0.2)


@pytest.fixture
def cell() -> rk.Workcell:
    return rk.make_workcell("fake", clock="real")


@pytest.fixture
def http(cell: rk.Workcell, hang: Hang) -> Iterator[httpx.Client]:
    with served(cell, ServerSettings()) as url, httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S) as http:
        yield http
        hang.may_return.set()


def _all(http: httpx.Client, path: str) -> list[Any]:
    """What so many readers hear who ask at once."""
    with ThreadPoolExecutor(READERS) as pool:
        return [answer.json() for answer in pool.map(http.get, [path] * READERS)]


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("name", ["gripper", "trackers.block"])
def test_b6_a_device_that_hangs_is_reported_in_its_own_place_and_takes_two_threads(
    http: httpx.Client, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch, hang: Hang, name: str
) -> None:
    device = cell.gripper if name == "gripper" else cell.trackers["block"]
    monkeypatch.setattr(device, "get_state" if name == "gripper" else "get_pose", hang)
    for state in _all(http, "/v1/state"):
        assert {key: report["code"] for key, report in state["errors"].items()} == {name: "device_fault"}
        assert "has not answered within" in state["errors"][name]["message"]
        assert state["robot"]["mode"] == "holding"
    assert (state["gripper"] is None) == (name == "gripper")
    assert (state["poses"] == {}) == (name != "gripper")
    assert hang.entered.acquire(timeout=PATIENCE_S)
    assert not hang.entered.acquire(timeout=0.0)  # the next waits for the end of this one


@pytest.mark.usefixtures("hurried")
def test_b2_a_gripper_that_hangs_while_many_read_it_hides_no_stop(
    http: httpx.Client, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch, hang: Hang
) -> None:
    monkeypatch.setattr(cell.gripper, "get_state", hang)
    for path in ("/v1/gripper/state", "/v1/state"):
        _all(http, path)
    assert http.post("/get_gripper").json()["code"] == "device_fault"
    assert http.post("/v1/robot/stop").status_code == 204
    assert http.get("/v1/robot/state").json()["mode"] == "stopped"
    assert http.get("/v1/health").json()["status"] == "stopped"
    for path in ("/v1/cell", "/v1/clock", "/metrics"):
        assert http.get(path).status_code == 200, path


def test_b6_the_state_of_a_stopped_arm_whose_measurement_hangs_can_be_read(
    http: httpx.Client, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch, hang: Hang
) -> None:
    before = http.get("/v1/robot/state").json()
    monkeypatch.setattr(cell.robot.inner, "_measure", hang)
    wait_until(lambda: cell.robot.machine.stop is not None)  # by the watch
    assert http.post("/v1/robot/stop").status_code == 204
    for state in _all(http, "/v1/robot/state"):
        assert state["mode"] == "stopped"
        assert before["stamp_s"] <= state["stamp_s"] < state["stop"]["since_s"]
    assert http.get("/v1/state").json()["robot"]["stamp_s"] == state["stamp_s"]
    assert http.post("/getpos").json()["pose"] == state["tcp_pose_in_base"]
    health = http.get("/v1/health").json()
    assert (health["status"], health["stop"]) == ("stopped", state["stop"])
    assert "robotkit_up 1.0" in http.get("/metrics").text
    assert http.get("/openapi.json").status_code == 200


def test_b6_a_stop_of_an_arm_that_was_never_measured_is_told_by_health(
    http: httpx.Client, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch, hang: Hang
) -> None:
    monkeypatch.setattr(cell.robot, "get_state", hang)
    monkeypatch.setattr(cell.robot.inner, "newest_state", lambda: None)
    assert http.post("/v1/robot/stop").status_code == 204
    assert http.get("/v1/robot/state").json()["code"] == "device_fault"
    health = http.get("/v1/health").json()
    assert (health["status"], health["robot_mode"]) == ("stopped", "stopped")
    assert health["stop"]["cause"] == "a stop was asked for from 127.0.0.1"


def test_b6_health_waits_for_no_arm_that_hangs_whatever_its_mode(
    http: httpx.Client, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch, hang: Hang
) -> None:
    monkeypatch.setattr(cell.robot, "get_state", hang)
    assert http.get("/v1/health").json()["robot_mode"] == "holding"
    monkeypatch.setattr(cell.robot.inner, "newest_state", lambda: None)
    health = http.get("/v1/health").json()
    assert health["status"] == "fault"
    assert "has not answered" in health["problems"][0]
    assert "robotkit_up 0.0" in http.get("/metrics").text


def test_b6_the_state_of_an_arm_that_may_move_is_measured_however_long_that_takes(
    http: httpx.Client, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, may_return, get_state = threading.Event(), threading.Event(), cell.robot.get_state
    monkeypatch.setattr(cell.robot, "get_state", lambda: (asked.set(), may_return.wait(60.0), get_state())[2])
    answers: list[float] = []
    reader = threading.Thread(target=lambda: answers.append(http.get("/v1/robot/state").json()["stamp_s"]))
    reader.start()
    assert asked.wait(PATIENCE_S)
    reader.join(5 * reads.ARM_S)
    assert not answers
    now_s = cell.clock.now_s()
    may_return.set()
    reader.join(PATIENCE_S)
    assert answers[0] >= now_s


def test_b6_a_wait_that_this_process_has_overslept_once_is_no_trouble_of_the_device(
    cell: rk.Workcell, http: httpx.Client, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cell.gripper is not None
    measure, looks = cell.gripper.get_state, list[float]()

    def running_for_s(*_: object) -> float:
        looks.append(60.0 if not looks else 0.0)
        if len(looks) > 2:
            hang.may_return.set()
        return looks[-1]

    def measure_late() -> rk.GripperState:
        hang.may_return.wait(60.0)
        return measure()

    monkeypatch.setattr(JoiningLane, "running_for_s", running_for_s)
    monkeypatch.setattr(cell.gripper, "get_state", measure_late)
    assert http.get("/v1/gripper/state").status_code == 200
    assert len(looks) == 3
