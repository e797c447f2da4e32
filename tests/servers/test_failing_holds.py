"""An arm that does not hold when its client is gone, gave up control or is taken over from is stopped, and told so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import robotkit as rk
from servers import ServerSettings, standing
from servers.access import Client
from servers.context import ServerContext
from servers.events import Event
from servers.turns import CURRENT_CALLER, Caller
from tests.support.waiting import wait_until

A, B = Client("key a", "anna", "10.0.0.1"), Client("key b", "bert", "10.0.0.2")
FAILURES = [rk.DeviceFault("its cable is out"), rk.RemoteTimeout("no answer"), ValueError("its own"), SystemExit("end")]


@pytest.fixture
def context() -> Iterator[ServerContext]:
    # The longest silence, so that on a busy machine the watchdog does not stop the arm before the server does.
    with rk.make_workcell("fake", clock="real", **{"robot.joint_speed_rad_s": 0.01, "limits.watchdog_s": 5.0}) as cell:
        yield ServerContext(cell, ServerSettings())


@pytest.fixture
def told(context: ServerContext) -> list[Event]:
    events: list[Event] = []
    context.events.subscribe(events.append)
    return events


def _travel(context: ServerContext, caller: Caller, errors: list[Exception]) -> threading.Thread:
    """A joint motion of anna that lasts for minutes, once it has begun."""
    goal_rad = context.workcell.robot.get_state().joint_positions_rad.copy()
    goal_rad[-1] += 1.0

    def run() -> None:
        CURRENT_CALLER.set(caller)
        try:
            with context.control.acquire(A, is_motion=True) as cell:
                cell.robot.move_to_joint_positions(goal_rad)
        except rk.RobotkitError as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    wait_until(lambda: context.workcell.robot.machine.mode == "travelling")
    return thread


def _fail(error: BaseException) -> Callable[[], None]:
    def hold() -> None:
        raise error

    return hold


def _track(context: ServerContext) -> np.ndarray:
    """A target from within this process, where the arm stands."""
    pose = context.workcell.robot.get_state().tcp_pose_in_base
    context.workcell.robot.send(rk.PoseCommand(tcp_pose_in_base=pose))
    return pose


ENDS: dict[str, Callable[[ServerContext, Caller], object]] = {
    "it is gone, and its command was under way": lambda context, caller: context.control.drop(caller),
    "it gave control back": lambda context, caller: context.control.release(A),
}


@pytest.mark.parametrize("why", ENDS)
@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_b10_a_motion_whose_hold_fails_is_stopped_whatever_was_raised(
    context: ServerContext, told: list[Event], monkeypatch: pytest.MonkeyPatch, why: str, failure: BaseException
) -> None:
    caller, errors = Caller(), list[Exception]()
    thread = _travel(context, caller, errors)
    monkeypatch.setattr(context.workcell.robot.inner, "_hold", _fail(failure))
    ENDS[why](context, caller)
    thread.join(20.0)
    assert errors
    state = context.workcell.robot.get_state()
    assert state.mode == "stopped"
    assert state.stop.author == "robotkit-serve"
    assert state.stop.cause == f"the arm did not hold: {failure} (anna: {why})"
    assert f"{why}; the arm did not hold: {failure}; it is stopped" in [event.message for event in told]
    assert not any(event.message.endswith("the arm holds") for event in told)


@pytest.mark.parametrize("why", ENDS)
def test_b10_a_motion_whose_hold_hangs_is_stopped(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    caller, errors, may_return = Caller(), list[Exception](), threading.Event()
    thread = _travel(context, caller, errors)
    monkeypatch.setattr(standing, "HOLD_S", 0.01)
    monkeypatch.setattr(context.workcell.robot.inner, "_hold", lambda: may_return.wait(20.0))
    ENDS[why](context, caller)
    assert context.workcell.robot.machine.stop is not None
    assert context.workcell.robot.machine.stop.cause.startswith("the arm did not hold: its driver has been busy")
    may_return.set()
    thread.join(20.0)
    assert errors


def test_b10_a_hold_that_comes_too_late_ends_no_motion_of_whoever_has_recovered_the_arm(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = context.workcell.robot
    monkeypatch.setattr(standing, "HOLD_S", 0.01)
    before = set(threading.enumerate())
    with robot.machine.lock:  # a call to the driver that hangs
        outcome: list[str] = []
        thread = threading.Thread(target=lambda: outcome.append(standing.make_stand(context.workcell, "anna: gone")))
        thread.start()
        thread.join(20.0)
        assert "it is stopped" in outcome[0]
        robot.recover()
        epoch = robot.target_epoch
    for late in set(threading.enumerate()) - before:
        late.join(20.0)
    assert robot.target_epoch == epoch


def test_b10_who_takes_over_from_a_client_whose_arm_does_not_hold_moves_nothing(
    context: ServerContext, told: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    context.step(A, rk.StepRequest())
    context.lease.release(A)  # as if it had fallen silent: nothing has made the arm stand
    monkeypatch.setattr(context.workcell.robot.inner, "_hold", _fail(rk.DeviceFault("its cable is out")))
    pose = _track(context)
    with pytest.raises(rk.RobotStopped, match="its cable is out"):
        context.step(B, rk.StepRequest(command=rk.PoseCommand(tcp_pose_in_base=pose)))
    taken_over = next(event for event in told if event.kind == "hold" and event.author == "bert")
    assert taken_over.message == "it takes over from anna; the arm did not hold: its cable is out; it is stopped"


def test_b10_an_arm_that_neither_holds_nor_takes_the_stop_is_latched_and_told_so(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = context.workcell.robot.inner
    with monkeypatch.context() as patch:
        _track(context)
        patch.setattr(inner, "_hold", _fail(rk.DeviceFault("its cable is out")))
        patch.setattr(inner, "_halt", _fail(OSError("input/output error")))
        outcome = standing.make_stand(context.workcell, "anna: gone")
    assert outcome == (
        "the arm did not hold: its cable is out; it is stopped, and its driver did not take that: input/output error"
    )
    assert context.workcell.robot.machine.stop is not None


@pytest.mark.parametrize("is_busy", [False, True], ids=["free", "another call has the lock"])
def test_b10_an_arm_at_rest_is_told_nothing_when_its_client_leaves_and_is_not_stopped(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch, is_busy: bool
) -> None:
    robot, told = context.workcell.robot, list[str]()
    monkeypatch.setattr(standing, "HOLD_S", 20.0)
    monkeypatch.setattr(standing, "LOCK_S", 20.0)
    monkeypatch.setattr(robot.inner, "_hold", lambda: told.append("hold"))
    epoch, has_lock, may_go_on = robot.target_epoch, threading.Event(), threading.Event()

    def change_compliance() -> None:
        with robot.machine.lock:
            has_lock.set()
            may_go_on.wait(20.0)

    busy = threading.Thread(target=change_compliance, daemon=True)
    busy.start()
    assert has_lock.wait(20.0)
    if not is_busy:
        may_go_on.set()
        busy.join(20.0)
    outcomes: list[str] = []
    leaving = threading.Thread(
        target=lambda: outcomes.append(standing.make_stand(context.workcell, "anna: gone", unless_at_rest=True))
    )
    leaving.start()
    may_go_on.set()
    leaving.join(20.0)
    assert outcomes == [standing.HOLDS]
    assert (told, robot.target_epoch, robot.machine.mode) == ([], epoch, "holding")


def test_b10_a_hold_that_hangs_takes_one_thread_however_many_clients_leave(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_return, holds, before = threading.Event(), list[int](), set(threading.enumerate())
    _track(context)
    monkeypatch.setattr(standing, "HOLD_S", 0.01)
    monkeypatch.setattr(context.workcell.robot.inner, "_hold", lambda: (holds.append(1), may_return.wait(20.0)))
    outcomes = [standing.make_stand(context.workcell, f"client {index}: gone") for index in range(20)]
    assert "it is stopped" in outcomes[0]
    assert set(outcomes[1:]) == {"the arm is stopped"}
    assert holds == [1]
    assert [thread.name for thread in set(threading.enumerate()) - before].count("robotkit-stand") == 1
    may_return.set()


def test_b10_who_leaves_while_another_hold_is_under_way_waits_for_that_one(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_begun, may_return, holds = threading.Event(), threading.Event(), list[int]()
    _track(context)
    monkeypatch.setattr(standing, "HOLD_S", 20.0)
    monkeypatch.setattr(
        context.workcell.robot.inner, "_hold", lambda: (holds.append(1), has_begun.set(), may_return.wait(20.0))
    )
    outcomes: list[str] = []
    leaving = [
        threading.Thread(target=lambda: outcomes.append(standing.make_stand(context.workcell, "gone")))
        for _ in range(3)
    ]
    for thread in leaving:
        thread.start()
        assert has_begun.wait(20.0)
    may_return.set()
    for thread in leaving:
        thread.join(20.0)
    assert outcomes == [standing.HOLDS] * 3
    assert holds == [1]


def test_b10_who_has_an_arm_stand_waits_for_a_hold_that_does_as_much_and_that_somebody_still_waits_for() -> None:
    full, of_a_moving_arm = standing._Attempt(False), standing._Attempt(True)
    assert full.does_for(full)
    assert full.does_for(of_a_moving_arm)
    assert of_a_moving_arm.does_for(of_a_moving_arm)
    assert not of_a_moving_arm.does_for(full)
    assert full.trouble_within(0.0, 0.0) is not None
    assert not full.does_for(full)
    assert not full.does_for(of_a_moving_arm)
