"""A command that the network delivers after a stop, a recovery or a hold that its author has not seen moves nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

import robotkit as rk
from robotkit.remote import steps, stream
from robotkit.remote.cell import RemoteWorkcell
from servers import ServerSettings, bounded, create_app
from servers.access import Client
from servers.context import ServerContext, gripper_of
from servers.runner import BackgroundServer
from servers.turns import CURRENT_CALLER, Caller
from tests.support.waiting import wait_until

PERSON = Client("p", "person")


def _stop(context: ServerContext) -> None:
    context.stop(PERSON)


def _stop_and_recover(context: ServerContext) -> None:
    context.stop(PERSON)
    token = CURRENT_CALLER.set(Caller())
    context.recover(PERSON)
    CURRENT_CALLER.reset(token)


def _hold(context: ServerContext) -> None:
    context.workcell.robot.machine.note_hold()
    context.workcell.robot.hold()


EVENTS: dict[str, Callable[[ServerContext], None]] = {"stop": _stop, "recovery": _stop_and_recover, "hold": _hold}
ERRORS = {"stop": rk.RobotStopped, "recovery": rk.TargetReplaced, "hold": rk.TargetReplaced}


@pytest.fixture(scope="module")
def app_cell() -> rk.Workcell:
    return rk.make_workcell("fake")


@pytest.fixture(scope="module")
def running(app_cell: rk.Workcell) -> Iterator[tuple[ServerContext, str]]:
    app = create_app(app_cell, ServerSettings(port=0))
    with BackgroundServer(app) as server:
        yield app.state.context, server.url


@pytest.fixture
def context(running: tuple[ServerContext, str]) -> ServerContext:
    return running[0]


@pytest.fixture
def cell(running: tuple[ServerContext, str], context: ServerContext) -> Iterator[RemoteWorkcell]:
    with rk.make_workcell("remote", url=running[1]) as remote:
        assert isinstance(remote, RemoteWorkcell)
        remote.robot.recover()
        remote.reset()
        yield remote


def _pose() -> rk.PoseCommand:
    with rk.make_workcell("fake") as fake:
        return rk.PoseCommand(tcp_pose_in_base=fake.get_state().robot.tcp_pose_in_base - np.eye(7)[2] * 0.01)


def _by_stream(cell: RemoteWorkcell) -> None:
    target = 1.0 - gripper_of(cell).get_state().target_position
    with cell.stream() as states:
        states.send(gripper=rk.GripperCommand(position=target))
        wait_until(lambda: states._error is not None or gripper_of(cell).get_state().target_position == target)
        states.latest()


POSE, GOAL_RAD = _pose(), rk.make_workcell("fake").robot.spec.reset_joint_positions_rad + 0.1
GRIPPER_WAYS: dict[str, Callable[[RemoteWorkcell], object]] = {
    "gripper": lambda cell: gripper_of(cell).close(),
    "activation": lambda cell: gripper_of(cell).activate(),
    "reset of the gripper": lambda cell: gripper_of(cell).reset(),
    "step of the gripper": lambda cell: cell.step(gripper=rk.GripperCommand(position=0.0)),
}
WAYS: dict[str, Callable[[RemoteWorkcell], object]] = {
    **GRIPPER_WAYS,
    "send": lambda cell: cell.robot.send(POSE),
    "joint motion": lambda cell: cell.robot.move_to_joint_positions(GOAL_RAD),
    "reset of the arm": lambda cell: cell.robot.reset(),
    "reset": lambda cell: cell.reset(),
    "step": lambda cell: cell.step(POSE, period_s=0.1),
    "compliance": lambda cell: cell.robot.set_compliance(rk.ComplianceParams(translational_stiffness_n_m=1500.0)),
    "clock": lambda cell: cell.clock.advance(0.1),
}
LATE = [(way, event) for way in WAYS for event in EVENTS if not (event == "stop" and way in GRIPPER_WAYS)]
OWN: dict[str, Callable[[RemoteWorkcell], None]] = {
    "hold": lambda cell: cell.robot.hold(),
    "recovery": lambda cell: cell.robot.recover(),
    "stop and recovery": lambda cell: (cell.robot.stop(), cell.robot.recover())[1],
}


def _facts(cell: rk.Workcell) -> list[object]:
    """What a command could change."""
    state = cell.get_state()
    assert state.gripper is not None
    now_s = cell.clock.now_s()
    return [state.robot.joint_positions_rad.tolist(), state.gripper.position, cell.robot.compliance, now_s]


def _delayed(cell: RemoteWorkcell, patch: pytest.MonkeyPatch, event: Callable[[], None]) -> None:
    """`event` comes once a command is on its way and before the server has it."""
    request, text = cell.session._transport.request, steps.timed_text

    def late(method: str, path: str, *args: Any) -> Any:
        if method == "POST":
            event()
        return request(method, path, *args)

    def late_text(message: Any) -> str:
        written = text(message)
        event()
        return written

    patch.setattr(cell.session._transport, "request", late)
    for module in (steps, stream):
        patch.setattr(module, "timed_text", late_text)


@pytest.mark.parametrize(("way", "event"), LATE)
def test_r1_a_command_that_the_network_delivers_after_what_its_author_has_not_seen_moves_nothing(
    cell: RemoteWorkcell, context: ServerContext, monkeypatch: pytest.MonkeyPatch, way: str, event: str
) -> None:
    cell.get_state()
    before = _facts(context.workcell)
    _delayed(cell, monkeypatch, lambda: EVENTS[event](context))
    with pytest.raises(ERRORS[event]):
        WAYS[way](cell)
    monkeypatch.undo()
    assert _facts(context.workcell) == before
    with pytest.raises(ERRORS[event], match="recover" if event == "stop" else r"read a state \(get_state\(\)\) first"):
        WAYS[way](cell)
    cell.get_state()
    if event == "stop":
        cell.robot.recover()
    WAYS[way](cell)


@pytest.mark.parametrize("event", EVENTS)
def test_r1_nor_does_one_of_a_stream(
    cell: RemoteWorkcell, context: ServerContext, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    before = _facts(context.workcell)
    with cell.stream() as states:
        states.latest()
        _delayed(cell, monkeypatch, lambda: EVENTS[event](context))
        states.send(POSE)
        wait_until(lambda: states._error is not None)
        with pytest.raises(ERRORS[event]):
            states.latest()
        monkeypatch.undo()
        assert _facts(context.workcell) == before


@pytest.mark.parametrize("way", [*GRIPPER_WAYS.values(), _by_stream], ids=[*GRIPPER_WAYS, "stream"])
def test_f4_a_client_that_has_read_a_state_before_the_stop_releases_what_the_gripper_holds_while_the_arm_is_stopped(
    cell: RemoteWorkcell, context: ServerContext, way: Callable[[RemoteWorkcell], object]
) -> None:
    cell.get_state()
    _stop(context)
    way(cell)
    with pytest.raises(rk.RobotStopped):
        cell.robot.send(POSE)
    way(cell)
    _hold(context)  # of another client
    with pytest.raises(rk.TargetReplaced, match=r"read a state \(get_state\(\)\) first"):
        way(cell)
    cell.get_state()
    way(cell)
    _stop_and_recover(context)
    with pytest.raises(rk.TargetReplaced):
        way(cell)


@pytest.mark.parametrize("fails", ["late", "refused by the driver", "error of the driver's own"])
def test_f4_after_an_own_hold_that_does_not_succeed_a_client_opens_the_gripper(
    cell: RemoteWorkcell, context: ServerContext, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    robot, may_end, ends = context.workcell.robot, threading.Event(), threading.Event()

    def hold() -> None:
        if fails == "late":
            may_end.wait(20.0)
            ends.set()
        else:
            raise rk.DeviceFault("no") if fails.startswith("refused") else OSError("no")

    cell.get_state()
    cell.robot.send(POSE)
    with monkeypatch.context() as patch, ExitStack() as at_end:
        at_end.callback(may_end.set)
        patch.setattr(robot, "hold", hold)
        patch.setattr(bounded, "HOLD_S", 0.02)
        patch.setattr(type(context.workcell.clock), "is_lockstep", property(lambda clock: fails != "late"))
        with pytest.raises(rk.MotionFailed if fails == "late" else rk.RobotkitError):
            cell.robot.hold()
        gripper_of(cell).open()
        if fails == "late":
            assert robot.get_state().mode == "stopped"
            may_end.set()
            assert ends.wait(20.0)
    _hold(context)  # of another client
    with pytest.raises(rk.TargetReplaced):
        gripper_of(cell).open()


def test_f4_the_loop_that_a_stop_ends_may_open_the_gripper(cell: RemoteWorkcell, context: ServerContext) -> None:
    cell.step(gripper=rk.GripperCommand(position=0.0))
    _stop(context)
    with pytest.raises(rk.RobotStopped):
        cell.step(POSE)
    gripper_of(cell).open()
    assert gripper_of(cell).get_state().target_position == 1.0


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("way", WAYS)
def test_r1_what_a_client_has_asked_for_itself_keeps_it_from_nothing(cell: RemoteWorkcell, way: str, own: str) -> None:
    cell.get_state()
    OWN[own](cell)
    WAYS[way](cell)


@pytest.mark.parametrize("own", ["hold", "recovery"])
@pytest.mark.parametrize("event", ["recovery", "hold"])
def test_r1_its_own_hold_or_recovery_shows_it_nothing_of_what_others_did_meanwhile(
    cell: RemoteWorkcell, context: ServerContext, monkeypatch: pytest.MonkeyPatch, own: str, event: str
) -> None:
    cell.get_state()
    robot = context.workcell.robot
    acts = getattr(robot, {"hold": "hold", "recovery": "recover"}[own])

    def then_the_event(*args: Any) -> None:
        acts(*args)
        monkeypatch.undo()
        EVENTS[event](context)

    monkeypatch.setattr(robot, acts.__name__, then_the_event)
    OWN[own](cell)
    with pytest.raises(rk.TargetReplaced):
        cell.robot.send(POSE)
    cell.get_state()
    cell.robot.send(POSE)


def test_r1_a_hold_blesses_nothing_that_came_before_it_unseen(cell: RemoteWorkcell, context: ServerContext) -> None:
    cell.get_state()
    _stop_and_recover(context)
    cell.robot.hold()
    with pytest.raises(rk.TargetReplaced):
        cell.robot.send(POSE)


def test_r1_after_a_stop_of_its_own_a_client_may_open_the_gripper(cell: RemoteWorkcell, context: ServerContext) -> None:
    cell.get_state()
    cell.robot.stop()
    cell.robot.stop()
    gripper_of(cell).close()
    gripper_of(cell).open()
    with pytest.raises(rk.RobotStopped):
        cell.robot.send(POSE)


def test_r1_a_stop_blesses_nothing_that_came_before_it_unseen(cell: RemoteWorkcell, context: ServerContext) -> None:
    cell.get_state()
    _stop_and_recover(context)
    cell.robot.stop()
    with pytest.raises(rk.TargetReplaced):
        gripper_of(cell).close()
    context.workcell.robot.recover()
    with pytest.raises(rk.TargetReplaced):
        gripper_of(cell).close()


def test_r1_a_step_that_commands_nothing_is_made_from_no_state(cell: RemoteWorkcell, context: ServerContext) -> None:
    cell.get_state()
    _stop_and_recover(context)
    with pytest.raises(rk.TargetReplaced):
        cell.step(POSE)
    cell.step(period_s=0.02)
    cell.step(POSE)


def test_b3_a_server_that_tells_of_no_holds_is_sent_no_word_of_them(
    cell: RemoteWorkcell, context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    text = steps.timed_text
    monkeypatch.setattr(steps, "timed_text", lambda message: texts.append(text(message)) or texts[-1])
    cell.session.seen.read(cell.get_state().robot.model_copy(update={"holds": None}))
    assert cell.session.seen.text is None
    cell.step(POSE)
    cell.step(POSE)
    assert ["seen" in sent for sent in texts] == [False, True]


def test_b3_a_client_that_tells_nothing_is_served_as_before(cell: RemoteWorkcell, context: ServerContext) -> None:
    cell.session.seen.forget()
    _stop_and_recover(context)
    cell.session.seen.forget()
    cell.robot.send(POSE)
