"""R1, U9: the first stop of a server: a real arm starts with it, and health counts the stop that it shows."""

from __future__ import annotations

import pytest

import robotkit as rk
from tests.serving import served
from tests.support.recording_arm import fail_with

TRACKERS = {"block": {"type": "fake", "pose_in_base": [0.5, 0, 0, 0, 0, 0, 1]}}


def cell_of(*, is_simulated: bool) -> rk.Workcell:
    cell = rk.make_workcell("fake", world=None, clock="real", trackers=TRACKERS, limits={"unlimited": True})
    for robot in (cell.robot, cell.robot.inner):
        robot.spec = robot.spec.model_copy(update={"is_simulated": is_simulated})
    return cell


def test_r1_a_real_arm_waits_for_a_person_who_may_be_any_client() -> None:
    with served(cell_of(is_simulated=False)) as url, rk.make_workcell("remote", url=url) as remote:
        robot = remote.get_state().robot
        assert (robot.mode, robot.stop.author, robot.recoveries) == ("stopped", "robotkit-serve", 0)
        command = rk.PoseCommand(tcp_pose_in_base=robot.tcp_pose_in_base)
        with pytest.raises(rk.RobotStopped, match="the server was started"):
            remote.step(command)
        remote.robot.recover()
        remote.get_state()
        assert remote.step(command).robot.mode == "tracking"


def test_a_simulated_arm_takes_commands_at_once() -> None:
    with served(cell_of(is_simulated=True)) as url, rk.make_workcell("remote", url=url) as remote:
        assert remote.get_state().robot.mode == "holding"


def test_r1_an_arm_whose_driver_refuses_that_stop_is_stopped_and_served_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cell = cell_of(is_simulated=False)
    monkeypatch.setattr(cell.robot.inner, "_halt", fail_with(rk.DeviceFault("not now")))
    with served(cell) as url, rk.make_workcell("remote", url=url) as remote:
        robot = remote.get_state().robot
        assert (robot.mode, robot.is_halt_owed) == ("stopped", True)
        monkeypatch.undo()


def test_u9_health_counts_the_stop_that_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that comes while the arm is measured for it: the page would tell that stop as two."""
    cell = cell_of(is_simulated=True)
    with served(cell) as url, rk.make_workcell("remote", url=url) as remote:
        measure = cell.robot.get_state

        def stopped_meanwhile() -> rk.RobotState:
            cell.robot.stop()
            return measure()

        monkeypatch.setattr(cell.robot, "get_state", stopped_meanwhile)
        health = remote.health()
        assert health.stop is not None
        assert health.stops == 1
