"""Laws of a halt that takes its time: it is under way and not owed, nobody tells the device beside it, and one does."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

import robotkit as rk
from robotkit.cli.remote import Stop
from robotkit.devices import AdaptedRobot, StatefulRobotServer
from robotkit.safety import make_safe
from tests.faults.rigs import Plugin
from tests.serving import served
from tests.support.recording_arm import InThread, PlainArm, RecordingArm
from tests.support.safe_arm import FreeClock
from tests.support.waiting import wait_until


def recording() -> tuple[StatefulRobotServer, Callable[[Callable[[], object]], None]]:
    arm = RecordingArm()
    return arm, lambda act: arm.on.update(halt=act)


def plain() -> tuple[StatefulRobotServer, Callable[[Callable[[], object]], None]]:
    inner = PlainArm()
    return AdaptedRobot(inner), lambda act: inner.on.update(stop=act)


class Slow:
    """A device that has taken a halt when the test lets it, or after some time."""

    def __init__(self, takes_s: float = 20.0) -> None:
        self.told = self.most_at_once = 0
        self.may_return, self._takes_s = threading.Event(), takes_s
        self._at_once = 0

    def __call__(self) -> None:
        self.told += 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        self.may_return.wait(self._takes_s)
        self._at_once -= 1


@pytest.fixture(params=[recording, plain])
def arm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[StatefulRobotServer, Slow]:
    monkeypatch.setattr("robotkit.devices.halts.OVERDUE_S", 60.0)
    monkeypatch.setattr("robotkit.devices.machine.STOP_WAIT_S", 0.0)
    (robot, put), slow = request.param(), Slow()
    robot.connect()
    robot.get_state()
    put(slow)
    return robot, slow


def test_a2_a_halt_that_is_under_way_is_not_owed_and_is_told_by_one_thread_at_a_time(arm):
    robot, slow = arm
    watch = make_safe(robot, rk.SafetyLimits(watchdog_s=0.2), FreeClock())._watchdog
    stops = [InThread(robot.stop)]
    wait_until(lambda: slow.told == 1)
    stops += [InThread(robot.stop) for _ in range(4)]
    wait_until(lambda: len(robot._halts._tellings) == 5)
    for _ in range(5):
        watch.look()
    assert not robot._halts._has_thread
    assert not robot.get_state().is_halt_owed
    slow.may_return.set()
    assert [stop.join() for stop in stops] == [None] * 5
    assert slow.most_at_once == 1
    assert slow.told == 2, "that which began after all others were asked for did for them"
    assert not robot.get_state().is_halt_owed


def test_a2_a_recovery_waits_for_the_halts_that_are_under_way_and_is_followed_by_none(arm):
    robot, slow = arm
    stops = [InThread(robot.stop)]
    wait_until(lambda: slow.told == 1)
    stops.append(InThread(robot.stop))
    wait_until(lambda: len(robot._halts._tellings) == 2)
    recovery = InThread(robot.recover)
    wait_until(lambda: robot._halts._repeating.locked())
    assert robot.machine.mode == "stopped"
    slow.may_return.set()
    assert [thread.join() for thread in (*stops, recovery)] == [None] * 3
    told = slow.told
    assert robot.machine.mode == "holding"
    assert robot.get_state().mode == "holding"
    assert (slow.told, slow.most_at_once) == (told, 1)


def test_a2_a_halt_that_takes_too_long_is_owed_and_told_again_beside(arm, monkeypatch):
    robot, slow = arm
    stop = InThread(robot.stop)
    wait_until(lambda: slow.told == 1)
    monkeypatch.setattr("robotkit.devices.halts.OVERDUE_S", 0.0)
    assert robot.get_state().is_halt_owed
    robot.repeat_owed_halt()
    wait_until(lambda: slow.told == 2)
    slow.may_return.set()
    assert stop.join() is None
    wait_until(lambda: not robot.get_state().is_halt_owed)


@pytest.mark.parametrize("takes_s", [0.03, 0.15, 0.4])
@pytest.mark.parametrize("is_plain", [False, True], ids=["stateful", "plain"])
def test_b2_a_stop_of_an_arm_whose_driver_takes_its_time_is_confirmed(is_plain, takes_s, monkeypatch, capsys):
    monkeypatch.setattr("robotkit.devices.halts.OVERDUE_S", 60.0)
    cell, slow = rk.make_workcell("fake", clock="real"), Slow(takes_s)
    if is_plain:
        plugin = Plugin(cell.robot.inner)
        monkeypatch.setattr(plugin, "stop", lambda: (slow(), plugin.arm.stop()))
        cell.robot = make_safe(AdaptedRobot(plugin), cell.robot.limits, cell.clock)
    else:
        monkeypatch.setattr(cell.robot.inner, "_halt", slow)
    with served(cell) as url:
        assert Stop(cell=url).run() == 0
        assert "is stopped" in capsys.readouterr().out
        assert not cell.robot.get_state().is_halt_owed
    assert slow.most_at_once == 1
