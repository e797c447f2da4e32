"""An arm that does not hold when its client is gone, gave up control or is taken over from is stopped, and told so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

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
    with rk.make_workcell("fake", clock="real", **{"robot.joint_speed_rad_s": 0.01}) as cell:
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
            with context.acquire_control(A, is_motion=True) as cell:
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


ENDS: dict[str, Callable[[ServerContext, Caller], object]] = {
    "it is gone, and its command was under way": lambda context, caller: context.drop(caller),
    "it gave control back": lambda context, caller: context.release_control(A),
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
    pose = context.workcell.robot.get_state().tcp_pose_in_base
    with pytest.raises(rk.RobotStopped, match="its cable is out"):
        context.step(B, rk.StepRequest(command=rk.PoseCommand(tcp_pose_in_base=pose)))
    taken_over = next(event for event in told if event.kind == "hold" and event.author == "bert")
    assert taken_over.message == "it takes over from anna; the arm did not hold: its cable is out; it is stopped"


def test_b10_an_arm_that_neither_holds_nor_takes_the_stop_is_latched_and_told_so(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = context.workcell.robot.inner
    with monkeypatch.context() as patch:
        patch.setattr(inner, "_hold", _fail(rk.DeviceFault("its cable is out")))
        patch.setattr(inner, "_halt", _fail(OSError("input/output error")))
        outcome = standing.make_stand(context.workcell, "anna: gone")
    assert outcome == (
        "the arm did not hold: its cable is out; it is stopped, and its driver did not take that: input/output error"
    )
    assert context.workcell.robot.machine.stop is not None
