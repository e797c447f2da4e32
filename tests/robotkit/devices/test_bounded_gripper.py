"""Laws of what waits behind a gripper that takes its time: it is done soon, or told as lost; never late."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

import robotkit as rk
from robotkit.devices import bounded_calls, bounded_gripper
from robotkit.devices.bounded_calls import BoundedCalls, Overdue
from robotkit.devices.bounded_gripper import BoundedGripper
from robotkit.drivers.fake.device import FakeDevice
from tests.robotkit.devices.test_hanging_grippers import REAL
from tests.support.recording_arm import fail_with
from tests.support.waiting import wait_until

CLOSED = rk.GripperCommand(position=0.0)
FAILED = "no answer on the serial line"


class SlowDriver:
    """Stands in for a gripper's `move`: each call lasts until it is let go, and may fail then."""

    def __init__(self, gripper: rk.BaseGripperServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[float] = []
        self.fails = False
        self._may_return = threading.Semaphore(0)
        monkeypatch.setattr(gripper, "move", self._move)

    def _move(self, position: float) -> None:
        self.begun.append(position)
        assert self._may_return.acquire(timeout=60.0)
        if self.fails:
            raise rk.DeviceFault(FAILED)

    def let_go(self, calls: int = 1000) -> None:
        self._may_return.release(calls)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Iterator[rk.Workcell]:
    """Nobody waits for a command of its gripper, and none hangs within the time of a test."""
    monkeypatch.setattr(FakeDevice, "answers_at_once", False)
    monkeypatch.setattr(bounded_gripper, "HANGS_S", 60.0)
    monkeypatch.setattr(bounded_gripper, "LEFT_S", 0.0)
    with rk.make_workcell("fake", **REAL, limits={"watchdog_s": 5.0}) as cell:
        cell.gripper._commands._wait_s = 0.0
        yield cell


@pytest.fixture
def driver(cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDriver]:
    driver = SlowDriver(cell.gripper.inner, monkeypatch)
    yield driver
    driver.let_go()


def one_waits(cell: rk.Workcell, driver: SlowDriver) -> None:
    """A command to open is in the driver, and one to close waits behind it."""
    cell.step(gripper=rk.GripperCommand(position=1.0))
    wait_until(lambda: driver.begun == [1.0])
    cell.step(gripper=CLOSED)


def is_idle(cell: rk.Workcell) -> bool:
    return cell.gripper.unanswered is None


def _recovered(cell: rk.Workcell) -> None:
    cell.robot.stop()
    cell.robot.recover()


def _held_by_somebody(cell: rk.Workcell) -> None:
    cell.robot.machine.note_hold()
    cell.robot.hold()


def _connected_again(cell: rk.Workcell) -> None:
    cell.disconnect()
    cell.connect()


@pytest.mark.parametrize("come", [_recovered, _held_by_somebody, _connected_again, rk.Workcell.disconnect])
def test_what_waits_is_not_carried_out_after_what_came_meanwhile(
    cell: rk.Workcell, driver: SlowDriver, come: Callable[[rk.Workcell], None]
) -> None:
    one_waits(cell, driver)
    come(cell)
    driver.let_go()
    wait_until(lambda: is_idle(cell))
    assert driver.begun == [1.0]
    if cell.is_connected:
        assert cell.get_state().errors == {}, "as of a command of the arm that came too late"


def test_a_cell_that_is_left_waits_until_its_gripper_has_its_commands(
    cell: rk.Workcell, driver: SlowDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_gripper, "LEFT_S", 60.0)
    one_waits(cell, driver)
    leaving = threading.Thread(target=cell.disconnect)
    leaving.start()
    driver.let_go(2)
    leaving.join(60.0)
    assert driver.begun == [1.0, 0.0]


def test_the_same_command_again_waits_for_the_one_that_is_in_the_driver(cell: rk.Workcell, driver: SlowDriver) -> None:
    cell.step(gripper=CLOSED)
    wait_until(lambda: driver.begun == [0.0])
    for _ in range(3):
        cell.step(gripper=CLOSED)
    assert not cell.gripper._commands._waiting
    cell.step(gripper=rk.GripperCommand(position=1.0))
    cell.step(gripper=CLOSED)
    driver.let_go()
    wait_until(lambda: is_idle(cell))
    assert driver.begun == [0.0, 0.0], "after another it is a new one"


def test_a_stop_that_is_latched_keeps_a_gripper_from_nothing(cell: rk.Workcell, driver: SlowDriver) -> None:
    one_waits(cell, driver)
    cell.robot.stop()
    driver.let_go()
    wait_until(lambda: is_idle(cell))
    assert driver.begun == [1.0, 0.0]


@pytest.mark.parametrize("command", ["open", "close", "activate", "reset", "move"])
def test_the_newest_command_is_the_last_whichever_way_it_came(
    cell: rk.Workcell, driver: SlowDriver, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    for name in ("activate", "reset"):
        monkeypatch.setattr(cell.gripper.inner, name, lambda name=name: driver.begun.append(name))
    one_waits(cell, driver)
    asked = getattr(cell.gripper, command)
    asker = threading.Thread(target=asked, args=(0.5,) if command == "move" else ())
    asker.start()
    wait_until(lambda: cell.gripper._commands._waiting[0].has_to_return)
    driver.let_go()
    asker.join(60.0)
    wait_until(lambda: is_idle(cell))
    last = {"open": 1.0, "close": 0.0, "move": 0.5}.get(command, command)
    assert driver.begun == [1.0, last]
    assert cell.get_state().errors == {}


def test_what_has_waited_for_too_long_is_lost_and_told_until_the_next_command(
    cell: rk.Workcell, driver: SlowDriver
) -> None:
    one_waits(cell, driver)
    cell.gripper._commands._limit_s = 0.0
    assert "has not returned" in cell.get_state().errors["gripper"].message
    driver.let_go()
    wait_until(lambda: is_idle(cell))
    assert driver.begun == [1.0]
    for _ in range(3):
        assert "was not carried out" in cell.get_state().errors["gripper"].message
    cell.gripper._commands._limit_s = cell.gripper._commands._wait_s = 60.0
    assert cell.step(gripper=CLOSED).errors == {}
    assert driver.begun == [1.0, 0.0]


@pytest.mark.parametrize("remedy", ["open", "close", "activate", "reset", "connect"])
def test_a_late_failure_is_told_until_any_command_or_a_new_connection(
    cell: rk.Workcell, driver: SlowDriver, remedy: str
) -> None:
    driver.fails = True
    cell.step(gripper=CLOSED)
    driver.let_go()
    wait_until(lambda: "gripper" in cell.get_state().errors)
    assert FAILED in cell.get_state().errors["gripper"].message
    driver.fails = False
    cell.gripper._commands._wait_s = 60.0
    if remedy == "connect":
        _connected_again(cell)
    else:
        getattr(cell.gripper, remedy)()
    assert cell.get_state().errors == {}


def test_what_its_driver_refuses_late_is_told_too(
    cell: rk.Workcell, driver: SlowDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(position: float) -> None:
        driver._move(position)
        raise rk.CommandRejected("activate the gripper first")

    monkeypatch.setattr(cell.gripper.inner, "move", refuse)
    cell.step(gripper=CLOSED)
    driver.let_go()
    wait_until(lambda: "gripper" in cell.get_state().errors)
    assert "activate the gripper first" in cell.get_state().errors["gripper"].message


def test_a_command_by_itself_has_its_time_from_its_own_beginning_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first wait ends while it waits behind another; it then begins, and is waited for anew."""
    waits: list[float] = []

    class Overtaken(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            return super().wait(60.0) if len(waits) > 1 else False

    calls = BoundedCalls("it is told", 60.0)
    monkeypatch.setattr(bounded_calls.threading, "Event", Overtaken)
    calls.command(lambda: None, awaited_s=5.0)
    assert waits[0] == 5.0
    assert 0.0 < waits[1] <= 5.0


def test_a_call_of_an_earlier_connection_tells_nothing_when_it_fails(cell: rk.Workcell, driver: SlowDriver) -> None:
    driver.fails = True
    cell.step(gripper=CLOSED)
    _connected_again(cell)
    driver.let_go()
    wait_until(lambda: is_idle(cell))
    assert cell.get_state().errors == {}


def test_a_position_that_the_fingers_cannot_take_is_refused_at_once(cell: rk.Workcell, driver: SlowDriver) -> None:
    one_waits(cell, driver)
    with pytest.raises(rk.InvalidCommand):
        cell.gripper.move(1.5)
    driver.let_go()
    wait_until(lambda: is_idle(cell))
    assert driver.begun == [1.0, 0.0], "it has replaced nothing"


def test_whoever_makes_it_ready_waits_until_it_is_or_is_told(
    cell: rk.Workcell, driver: SlowDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell.gripper.inner, "activate", lambda: driver._move(-1.0))
    monkeypatch.setattr(bounded_gripper, "READY_S", 0.0)
    with pytest.raises(rk.DeviceFault, match="told to get ready, and its driver has not returned"):
        cell.gripper.activate()
    monkeypatch.setattr(bounded_gripper, "READY_S", 60.0)
    errors: list[Exception] = []

    def activate() -> None:
        try:
            cell.gripper.activate()
        except rk.DeviceFault as error:
            errors.append(error)

    asker = threading.Thread(target=activate)
    asker.start()
    wait_until(lambda: len(cell.gripper._commands._waiting) == 1)
    cell.step(gripper=CLOSED)
    asker.join(60.0)
    assert "a newer one" in str(errors[0])
    driver.let_go()
    wait_until(lambda: is_idle(cell))
    assert driver.begun == [-1.0, 0.0]


@pytest.mark.parametrize("command", ["activate", "reset"])
@pytest.mark.parametrize("measures", [True, False])
def test_a_gripper_that_is_made_ready_moves_and_is_in_no_fault_until_its_bound(
    cell: rk.Workcell, driver: SlowDriver, monkeypatch: pytest.MonkeyPatch, command: str, measures: bool
) -> None:
    """Also where its driver measures nothing meanwhile; its commands are refused, and are no fault either."""
    monkeypatch.setattr(cell.gripper.inner, command, lambda: driver._move(-1.0))
    last = cell.get_state().gripper
    assert not last.is_moving
    asker = threading.Thread(target=getattr(cell.gripper, command))
    asker.start()
    wait_until(lambda: driver.begun == [-1.0])
    cell.gripper._commands._limit_s = 0.0
    if not measures:
        monkeypatch.setattr(cell.gripper.inner, "get_state", fail_with(rk.DeviceFault("it is not asked now")))
    state = cell.get_state()
    assert state.errors == {}
    assert state.gripper.is_moving
    assert (state.gripper.stamp_s > last.stamp_s) is measures
    for act in (cell.gripper.open, lambda: cell.step(gripper=CLOSED)):
        with pytest.raises(rk.Busy, match="told to get ready, which takes its time"):
            act()
    cell.gripper._commands._under_way.began_s -= 30.0
    report = cell.get_state().errors["gripper"].message
    assert ("told to get ready, and its driver has not returned for 30." if measures else "is not asked") in report
    driver.let_go()
    asker.join(60.0)
    wait_until(lambda: is_idle(cell))
    monkeypatch.undo()
    state = cell.get_state()
    assert state.errors == {}
    assert not state.gripper.is_moving


@pytest.mark.parametrize("command", ["open", "close"])
def test_a_command_by_itself_returns_when_the_driver_has_it_or_says_that_it_does_not_know(
    cell: rk.Workcell, driver: SlowDriver, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    asker = threading.Thread(target=getattr(cell.gripper, command))
    asker.start()
    wait_until(lambda: len(driver.begun) == 1)
    assert asker.is_alive()
    driver.let_go(1)
    asker.join(60.0)
    monkeypatch.setattr(bounded_gripper, "HANGS_S", 0.0)
    with pytest.raises(Overdue):
        getattr(cell.gripper, command)()
    wait_until(lambda: len(driver.begun) == 2)
    with pytest.raises(rk.DeviceFault, match="came to nothing"):
        cell.gripper.move(0.5)
    driver.let_go()
    wait_until(lambda: is_idle(cell))
    assert len(driver.begun) == 2, "what was said to come to nothing is not done later"


def test_questions_are_answered_in_their_order() -> None:
    calls, goes_on, answered = BoundedCalls("it was asked", 60.0), threading.Event(), []
    threads = []
    for number in range(6):
        what = (lambda n=number: answered.append(n)) if number else (lambda: goes_on.wait(60.0))
        threads.append(threading.Thread(target=calls.call, args=(what,)))
        threads[-1].start()
        wait_until(lambda: calls.unanswered is not None and len(calls._waiting) == len(threads) - 1)
    goes_on.set()
    for thread in threads:
        thread.join(60.0)
    assert answered == [1, 2, 3, 4, 5]


def test_a_question_whose_turn_does_not_come_says_so_and_is_not_asked_later() -> None:
    calls, goes_on, asked = BoundedCalls("it was asked", 60.0), threading.Event(), []
    first = threading.Thread(target=calls.call, args=(lambda: goes_on.wait(60.0),))
    first.start()
    wait_until(lambda: calls.unanswered is not None)
    calls._limit_s = 0.0
    calls._require_soon = lambda before: None  # as if the first had just begun
    with pytest.raises(rk.DeviceFault):
        calls.call(lambda: asked.append(1))
    goes_on.set()
    first.join(60.0)
    assert asked == []


def test_the_door_is_there_only_where_a_gripper_may_keep_somebody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not isinstance(rk.make_workcell("fake", **REAL).gripper, BoundedGripper)
    monkeypatch.setattr(FakeDevice, "answers_at_once", False)
    assert not isinstance(rk.make_workcell("fake").gripper, BoundedGripper), "no time passes there"
    cell = rk.make_workcell("fake", **REAL)
    assert isinstance(cell.gripper, BoundedGripper)
    cell.gripper.activates_on_connect = False
    assert cell.gripper.inner.activates_on_connect is False
    assert cell.gripper.spec is cell.gripper.inner.spec
