"""One client commands a cell: when control passes to another, and what the arm does then."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

import robotkit as rk
from robotkit.devices.machine import ASKED_AT
from robotkit.drivers.fake import ManualClock
from robotkit.safety import SafeRobot
from servers import ServerSettings, turns
from servers.access import Client
from servers.context import ServerContext
from tests.serving import served

A, B = Client("key of a", "a"), Client("key of b", "b")


@pytest.fixture
def url() -> Iterator[str]:
    with served(rk.make_workcell("fake"), ServerSettings(lease_timeout_s=60.0)) as running:
        yield running


def test_b9_a_client_that_repeats_what_a_stopped_arm_refuses_keeps_nobody_from_the_gripper(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with rk.make_workcell("fake") as cell:
        context = ServerContext(cell, ServerSettings())
        time = ManualClock()
        monkeypatch.setattr(context.lease, "_now_s", time.now_s)
        context.step(A, rk.StepRequest())
        context.stop(B)
        while time.now_s() < 2.0 * context.lease.timeout_s:
            time.advance(0.3 * context.lease.timeout_s)
            with pytest.raises(rk.RobotStopped), context.control.acquire(A) as commanded:
                commanded.robot.reset()
        with context.control.acquire(B) as commanded:
            commanded.gripper.open()
        assert context.lease.holder == B


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


@pytest.mark.parametrize("down", ["stopped", "fault"])
@pytest.mark.parametrize("way", ["falls silent", "gives control back"])
def test_b9_refusals_of_an_arm_that_is_down_change_nothing_about_control_and_are_told_as_refusals(
    way: str, down: str
) -> None:
    with rk.make_workcell("fake") as cell:
        context = ServerContext(cell, ServerSettings(lease_timeout_s=1.0))
        time = ManualClock()
        context.lease._now_s = time.now_s
        told: list[tuple[str, str]] = []
        context.step(A, rk.StepRequest())
        if way == "gives control back":
            context.control.release(A)
        time.advance(5.0)
        if down == "stopped":
            context.stop(A)
        else:
            assert isinstance(cell.robot, SafeRobot)
            cell.robot.inner._latch(cell.robot.machine.fault_of(("torn",)))
        context.events.subscribe(lambda event: told.append((event.kind, event.author)))
        command = rk.PoseCommand(tcp_pose_in_base=cell.get_state().robot.tcp_pose_in_base)
        for client in (B, A, B, B):
            with pytest.raises((rk.RobotStopped, rk.DeviceFault)):
                context.step(client, rk.StepRequest(command=command))
            assert context.lease.holder is None
        assert [kind for kind, _ in told if kind not in ("refused", "fault")] == []
        told.clear()
        for _ in range(2):
            context.step(B, rk.StepRequest(gripper=rk.GripperCommand(position=0.0)))
            assert context.lease.holder == B
        context.recover(A)
        context.step(B, rk.StepRequest(command=rk.PoseCommand(tcp_pose_in_base=command.tcp_pose_in_base)))
        kinds = [kind for kind, _ in told if kind != "fault"]
        assert kinds == ["control_taken", "recover"]


@pytest.mark.parametrize("gives_up", [True, False])
def test_f4_the_first_step_after_control_was_given_up_may_name_the_state_it_was_made_from(gives_up: bool) -> None:
    with rk.make_workcell("fake") as cell:
        context = ServerContext(cell, ServerSettings())
        state = context.step(A, rk.StepRequest(command=_lower(cell), period_s=0.1))
        if gives_up:
            context.control.release(A)
        else:
            context.lease.release(A)  # as if it had fallen silent: the arm may follow the target of another
        state = cell.get_state()
        command = rk.StepRequest(command=_lower(cell), target_epoch=state.robot.target_epoch)
        if gives_up:
            assert context.step(B, command).robot.target_epoch == state.robot.target_epoch
        else:
            with pytest.raises(rk.TargetReplaced):
                context.step(B, command)


def test_f4_a_command_that_outlives_the_release_has_the_arm_stand_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_BRAKE_WAIT_S", 0.01)
    with rk.make_workcell("fake") as cell:
        context = ServerContext(cell, ServerSettings())
        released = threading.Thread(target=context.control.release, args=(A,))
        with suppress(rk.Busy), context.control.acquire(A):
            released.start()
            released.join(20.0)
            cell.robot.send(_lower(cell))
        assert cell.robot.get_state().mode == "tracking"
        with context.control.acquire(B):
            assert cell.robot.get_state().mode == "holding"


def test_what_is_asked_for_before_a_hold_is_of_the_past_before_the_arm_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    with rk.make_workcell("fake") as cell:
        context = ServerContext(cell, ServerSettings())
        before, now = context.moments.now, []
        monkeypatch.setattr(cell.robot, "hold", lambda: now.append(context.moments.now))
        context.control.hold_now(A)
        assert before is not None
        assert now == [before._replace(holds=before.holds + 1)]


def test_the_moment_of_one_command_is_not_that_of_what_its_thread_does_afterwards() -> None:
    with rk.make_workcell("fake") as cell:
        context = ServerContext(cell, ServerSettings())
        with context.control.acquire(A):
            assert ASKED_AT.get() == context.moments.now
        assert ASKED_AT.get() is None


def test_b9_a_client_that_follows_one_whose_arm_was_made_to_stand_has_it_stand_no_second_time() -> None:
    with rk.make_workcell("fake") as cell:
        context = ServerContext(cell, ServerSettings())
        context.step(A, rk.StepRequest(command=_lower(cell)))
        context.control.release(A)
        told: list[str] = []
        context.events.subscribe(lambda event: told.append(event.kind))
        context.step(B, rk.StepRequest(command=_lower(cell)))
        context.control.release(B)
        assert told == ["control_taken", "control_released"]


@pytest.mark.parametrize(("holder", "is_stopped"), [(None, True), (A, True), (B, False)])
def test_b2_a_hold_that_comes_too_late_stops_an_arm_that_nobody_else_commands(
    holder: Client | None, is_stopped: bool
) -> None:
    with rk.make_workcell("fake") as cell:
        context = ServerContext(cell, ServerSettings())
        if holder is not None:
            context.step(holder, rk.StepRequest())
        cell.robot.send(_lower(cell))
        context.control.stop_unheld(A, 0.5)
        assert (cell.robot.get_state().mode == "stopped") is is_stopped


def test_b9_control_that_another_client_has_got_meanwhile_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    with rk.make_workcell("fake") as cell:
        context = ServerContext(cell, ServerSettings())
        context.step(A, rk.StepRequest())
        ended = context.control.turns.ended

        @contextmanager
        def overtaken(*args: Any) -> Iterator[None]:
            context.lease.release(A)
            context.step(B, rk.StepRequest(command=_lower(cell)))
            with ended(*args):
                yield

        monkeypatch.setattr(context.control.turns, "ended", overtaken)
        assert not context.control.release(A)
        assert context.lease.holder == B
        assert cell.robot.get_state().mode == "tracking"


def _lower(cell: rk.Workcell) -> rk.PoseCommand:
    pose = cell.robot.get_state().tcp_pose_in_base.copy()
    pose[2] -= 0.01
    return rk.PoseCommand(tcp_pose_in_base=pose)
