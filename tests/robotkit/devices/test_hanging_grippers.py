"""Laws of a step beside a gripper whose driver hangs: the arm's command and the caller wait for it within a bound."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

import robotkit as rk
from robotkit import workcell
from robotkit.devices import bounded_calls, bounded_gripper
from robotkit.devices.bounded_calls import BoundedCalls, Overdue
from robotkit.drivers.fake.device import FakeDevice
from tests.support.recording_arm import fail_with
from tests.support.waiting import wait_until

REAL = {
    "world": None,
    "clock": "real",
    "limits.watchdog_s": 5.0,
    "trackers": {"block": {"type": "fake", "pose_in_base": [0.5, 0, 0, 0, 0, 0, 1]}},
}
CLOSED = rk.GripperCommand(position=0.0)


class Hang:
    """A call of a driver that returns when it is let."""

    def __init__(self) -> None:
        self.begun, self.goes_on, self.calls = threading.Event(), threading.Event(), 0

    def __call__(self, *_: object) -> None:
        self.calls += 1
        self.begun.set()
        assert self.goes_on.wait(60.0)


@pytest.fixture
def hang() -> Iterator[Hang]:
    hang = Hang()
    yield hang
    hang.goes_on.set()


@pytest.fixture(autouse=True)
def devices_that_may_wait(monkeypatch) -> None:
    monkeypatch.setattr(FakeDevice, "answers_at_once", False)


@pytest.fixture
def cell(monkeypatch) -> Iterator[rk.Workcell]:
    """Its clock runs by itself, and what hangs is given hardly any time."""
    monkeypatch.setattr(bounded_gripper, "HANGS_S", 0.01)
    with rk.make_workcell("fake", **REAL) as cell:
        yield cell


def nudged(cell: rk.Workcell) -> rk.PoseCommand:
    pose = cell.robot.get_state().tcp_pose_in_base.copy()
    pose[0] += 0.02
    return rk.PoseCommand(tcp_pose_in_base=pose)


def once_it_hangs(cell: rk.Workcell) -> rk.CellState:
    """The thread of its command may have begun late."""
    wait_until(lambda: cell.gripper._commands.overdue is not None)
    return cell.get_state()


def test_b6_a_gripper_that_hangs_with_its_command_keeps_no_command_from_the_arm(cell, hang, monkeypatch):
    monkeypatch.setattr(cell.gripper.inner, "move", hang)
    command = nudged(cell)
    state = cell.step(command, CLOSED)
    np.testing.assert_array_equal(state.accepted.tcp_pose_in_base, command.tcp_pose_in_base)
    assert state.robot.mode == "tracking"
    state = once_it_hangs(cell)
    assert state.errors["gripper"].code == "device_fault"
    assert "its driver has not returned" in state.errors["gripper"].message
    assert state.gripper is not None, "it can be measured all the same"


def test_b6_a_gripper_that_hangs_is_checked_before_the_arm_is_told_and_asked_nothing_more(cell, hang, monkeypatch):
    monkeypatch.setattr(cell.gripper.inner, "move", hang)
    cell.step(gripper=CLOSED)
    once_it_hangs(cell)
    before = cell.robot.machine.targets
    for _ in range(3):
        with pytest.raises(rk.DeviceFault, match="has not returned"):
            cell.step(nudged(cell), CLOSED)
    assert cell.robot.machine.targets == before, "a step that cannot be carried out as a whole is refused"
    assert hang.calls == 1
    assert cell.step(nudged(cell)).accepted is not None, "a step without the gripper goes on"
    hang.goes_on.set()
    wait_until(lambda: "gripper" not in cell.get_state().errors)
    cell.step(nudged(cell), CLOSED)
    wait_until(lambda: hang.calls == 2)  # it takes commands again
    wait_until(lambda: cell.get_state().errors == {})


@pytest.mark.parametrize("name", ["gripper", "trackers.block"])
def test_b6_a_device_that_hangs_while_it_is_measured_is_reported_in_its_own_place(hang, monkeypatch, name):
    monkeypatch.setattr(bounded_gripper, "READING_S", 0.01)
    monkeypatch.setattr(workcell, "READING_S", 0.01)
    with rk.make_workcell("fake", **REAL) as cell:
        if name == "gripper":
            monkeypatch.setattr(cell.gripper.inner, "get_state", hang)
        else:
            monkeypatch.setattr(cell.trackers["block"], "get_pose", hang)
        for _ in range(3):
            state = cell.step(nudged(cell))
            assert state.accepted is not None
            assert "has not returned" in state.errors[name].message
        assert hang.calls == 1
        hang.goes_on.set()


@pytest.mark.parametrize("error", [rk.DeviceFault("jammed"), rk.InvalidCommand("no such place"), OSError("torn")])
def test_f4_what_a_gripper_refuses_is_raised_before_the_arm_is_told(cell, monkeypatch, error):
    monkeypatch.setattr(cell.gripper.inner, "move", lambda _: fail_with(error)())
    cell.gripper._commands._wait_s = 60.0
    before = cell.robot.machine.targets
    with pytest.raises(type(error)) as caught:
        cell.step(nudged(cell), CLOSED)
    assert caught.value is error
    assert cell.robot.machine.targets == before


def wait_for_its_beginning(hang: Hang, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next call is waited for from when it hangs on, however late its thread begins."""

    def start(run, args) -> None:
        threading.Thread(target=run, args=args, daemon=True).start()
        assert hang.begun.wait(60.0)

    monkeypatch.setattr(bounded_calls, "_thread", SimpleNamespace(start_new_thread=start))


def test_a_stop_that_comes_while_the_gripper_hangs_makes_the_command_one_of_the_past(cell, hang, monkeypatch):
    def stop_and_hang(position: float) -> None:
        cell.robot.stop()
        hang()

    command = nudged(cell)
    monkeypatch.setattr(cell.gripper.inner, "move", stop_and_hang)
    wait_for_its_beginning(hang, monkeypatch)
    with pytest.raises(rk.RobotStopped):
        cell.step(command, CLOSED)


@pytest.mark.parametrize("watchdog_s", [0.02, 5.0])
def test_h4_a_gripper_that_hangs_is_named_and_not_what_came_while_the_arm_s_command_waited(
    hang, monkeypatch, watchdog_s
):
    with rk.make_workcell("fake", **REAL, limits={"watchdog_s": watchdog_s}) as cell:
        assert cell.gripper._commands._wait_s == min(0.5, 0.5 * watchdog_s)
        cell.gripper._commands._wait_s = 0.01

        def hold_and_hang(position: float) -> None:
            cell.robot.hold()
            hang()

        monkeypatch.setattr(cell.gripper.inner, "move", hold_and_hang)
        before, command = cell.robot.machine.targets, nudged(cell)
        wait_for_its_beginning(hang, monkeypatch)
        with pytest.raises(rk.TargetReplaced, match="the gripper was given a command"):
            cell.step(command, CLOSED)
        assert cell.robot.machine.targets == before


def test_a_device_that_answers_at_once_is_asked_in_the_thread_of_the_step(monkeypatch):
    monkeypatch.setattr(FakeDevice, "answers_at_once", True)
    with rk.make_workcell("fake", **REAL) as cell:
        threads = []
        for device, name in ((cell.gripper, "move"), (cell.gripper, "get_state"), (cell.trackers["block"], "get_pose")):
            call = getattr(device, name)
            monkeypatch.setattr(
                device, name, lambda *at, call=call: (threads.append(threading.get_ident()), call(*at))[1]
            )
        cell.step(nudged(cell), CLOSED)
    assert threads == [threading.get_ident()] * 3


def test_h4_a_gripper_that_takes_its_time_is_none_that_hangs_and_does_its_newest_command_last(monkeypatch):
    with rk.make_workcell("fake", **REAL, limits={"watchdog_s": 5.0}) as cell:
        cell.gripper._commands._wait_s = 0.0
        begun, may_go_on, done = threading.Semaphore(0), threading.Semaphore(0), []

        def move(position: float) -> None:
            begun.release()
            assert may_go_on.acquire(timeout=60.0)
            done.append(position)

        monkeypatch.setattr(cell.gripper.inner, "move", move)
        for position in (0.1, 0.2, 0.3, 0.4):
            state = cell.step(nudged(cell), rk.GripperCommand(position=position))
            assert state.accepted is not None
            assert state.errors == {}
            if position == 0.1:
                assert begun.acquire(timeout=60.0)
        may_go_on.release(2)
        wait_until(lambda: len(done) == 2 and cell.gripper._commands.unanswered is None)
        assert done == [0.1, 0.4], "of what waits behind another the newest is done"


def test_h4_what_a_gripper_raises_after_it_was_waited_for_is_told_until_its_next_command(cell, hang, monkeypatch):
    def fail_late(position: float) -> None:
        hang()
        raise rk.DeviceFault("no answer on the serial line")

    cell.gripper._commands._wait_s, cell.gripper._commands._limit_s = 0.0, 60.0
    move = cell.gripper.inner.move
    monkeypatch.setattr(cell.gripper.inner, "move", fail_late)
    assert cell.step(gripper=CLOSED).errors == {}
    hang.goes_on.set()
    wait_until(lambda: "gripper" in cell.get_state().errors)
    for _ in range(3):
        assert "no answer on the serial line" in cell.step(nudged(cell)).errors["gripper"].message
    monkeypatch.setattr(cell.gripper.inner, "move", move)
    cell.gripper._commands._wait_s = 60.0
    assert cell.step(gripper=CLOSED).errors == {}


def test_readings_of_several_threads_are_each_their_own():
    calls, values, threads = BoundedCalls("it was asked", 60.0), {}, []
    for number in range(20):
        threads.append(threading.Thread(target=lambda n=number: values.update({n: calls.call(lambda: n)})))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    assert values == {number: number for number in range(20)}


def test_in_lock_step_the_calls_are_made_in_the_thread_of_the_step(monkeypatch):
    with rk.make_workcell("fake") as cell:
        threads = []
        move = cell.gripper.move
        monkeypatch.setattr(cell.gripper, "move", lambda at: (threads.append(threading.current_thread()), move(at)))
        cell.step(nudged(cell), CLOSED)
    assert threads == [threading.current_thread()]


def test_what_ends_a_thread_is_a_fault_of_the_device():
    calls = BoundedCalls("it was asked", 60.0)
    with pytest.raises(rk.DeviceFault, match="over"):
        calls.call(fail_with(SystemExit("over")))
    assert calls.call(lambda: 7) == 7


def test_a_process_without_another_thread_calls_in_its_own(monkeypatch):
    monkeypatch.setattr(bounded_calls._thread, "start_new_thread", lambda *_: fail_with(RuntimeError("no more"))())
    assert BoundedCalls("it was asked", 60.0).call(threading.current_thread) is threading.current_thread()


def test_the_bounds_are_those_of_the_documentation(hang):
    assert (bounded_gripper.HANGS_S, bounded_gripper.READING_S, bounded_gripper.READY_S) == (0.5, 2.0, 30.0)
    calls = BoundedCalls("it was asked", 0.0)
    with pytest.raises(Overdue):
        calls.call(hang)
    assert isinstance(calls.overdue, Overdue)
    hang.goes_on.set()
    wait_until(lambda: calls.overdue is None)
