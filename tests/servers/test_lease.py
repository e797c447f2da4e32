"""At most one client commands; anyone reads and stops."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx
import pytest

import robotkit as rk
from servers import ServerSettings
from servers.lease import ControlLease
from tests.serving import served


class _Time:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time() -> _Time:
    return _Time()


@pytest.fixture
def lease(time: _Time) -> ControlLease:
    return ControlLease(1.0, time)


def _command(lease: ControlLease, client: str) -> None:
    with lease.control(client):
        pass


def test_the_first_to_command_has_control_and_keeps_it_by_commanding(lease: ControlLease, time: _Time) -> None:
    assert lease.holder is None
    for _ in range(5):
        _command(lease, "a")
        time.now_s += 0.9
    with pytest.raises(rk.ControlHeld, match="another client"):
        _command(lease, "b")
    assert lease.holder == "a"


def test_silence_ends_control(lease: ControlLease, time: _Time) -> None:
    _command(lease, "a")
    time.now_s += 1.0
    assert lease.holder is None
    _command(lease, "b")
    with pytest.raises(rk.ControlHeld):
        _command(lease, "a")


def test_a_command_that_lasts_keeps_control(lease: ControlLease, time: _Time) -> None:
    with lease.control("a"):
        time.now_s += 60.0
        with pytest.raises(rk.ControlHeld):
            _command(lease, "b")
        assert not lease.release("a")
    time.now_s += 0.5
    assert lease.holder == "a"


def test_only_the_holder_can_release(lease: ControlLease) -> None:
    _command(lease, "a")
    assert not lease.release("b")
    assert lease.release("a")
    _command(lease, "b")
    assert lease.holder == "b"


def test_a_command_that_fails_gives_nothing_up(lease: ControlLease) -> None:
    with pytest.raises(rk.OutsideWorkspace), lease.control("a"):
        raise rk.OutsideWorkspace("no")
    assert lease.holder == "a"


def test_of_many_at_once_exactly_one_wins() -> None:
    lease, barrier, refused = ControlLease(10.0), threading.Barrier(8), []

    def compete(name: str) -> None:
        barrier.wait()
        try:
            _command(lease, name)
        except rk.ControlHeld:
            refused.append(name)

    threads = [threading.Thread(target=compete, args=(str(i),)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7
    assert lease.holder not in refused


@pytest.fixture
def url() -> Iterator[str]:
    with served(rk.make_workcell("fake"), ServerSettings(lease_timeout_s=60.0)) as running:
        yield running


def test_two_clients(url: str) -> None:
    with rk.make_workcell("remote", url=url) as first, rk.make_workcell("remote", url=url) as second:
        state = first.reset(seed=0)
        command = rk.PoseCommand(tcp_pose_in_base=state.robot.tcp_pose_in_base)
        first.step(command, period_s=0.02)
        target = first.get_state()
        for refused in (
            lambda: second.step(command, period_s=0.02),
            lambda: second.robot.send(command),
            lambda: second.reset(),
            lambda: second.gripper.close(),
            lambda: second.clock.advance(0.02),
            lambda: second.robot.set_compliance(rk.ComplianceParams()),
        ):
            with pytest.raises(rk.ControlHeld):
                refused()
        assert second.get_state() == target
        second.robot.stop()
        with pytest.raises(rk.RobotStopped):
            first.step(command)
        first.robot.recover()
        first.disconnect()
        assert second.step(period_s=0.02).robot.stamp_s == pytest.approx(target.robot.stamp_s + 0.02)


def test_clients_without_a_name_are_told_apart_by_their_address(url: str) -> None:
    with httpx.Client(base_url=url, trust_env=False) as client:
        assert client.post("/v1/step", json={}).status_code == 200
        assert client.post("/close_gripper").status_code == 200
        assert client.get("/v1/health").json()["controlled_by"] == "address 127.0.0.1"
        refused = client.post("/v1/step", json={}, headers={"X-Robotkit-Client": "other"})
        assert (refused.status_code, refused.json()["code"]) == (409, "control_held")
