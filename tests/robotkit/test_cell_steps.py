"""Laws of a step: everything is checked before anything is sent, and a device that fails is reported in its place."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.clock import RealClock
from robotkit.drivers.fake import ManualClock
from tests.robotkit.test_workcell import Time
from tests.support.recording_arm import fail_with
from tests.support.watched_arm import build


def nudged(cell, dx=0.02):
    pose = cell.robot.get_state().tcp_pose_in_base.copy()
    pose[0] += dx
    return rk.PoseCommand(tcp_pose_in_base=pose)


def require_nothing_moves(cell, before):
    cell.clock.advance(1.0)
    state = cell.get_state()
    np.testing.assert_array_equal(state.robot.joint_positions_rad, before.robot.joint_positions_rad)
    assert state.robot.target_epoch == before.robot.target_epoch
    if before.gripper is not None:
        assert state.gripper.target_position == before.gripper.target_position


CLOSED = rk.GripperCommand(position=0.0)


def test_f4_b6_a_gripper_that_is_not_there_moves_no_arm():
    with rk.make_workcell("fake", gripper=None) as cell:
        before = cell.get_state()
        with pytest.raises(rk.Unsupported, match="no gripper"):
            cell.step(nudged(cell), CLOSED, 0.1)
        require_nothing_moves(cell, before)


def test_f4_a_refused_arm_command_moves_no_gripper():
    with rk.make_workcell("fake") as cell:
        before = cell.get_state()
        with pytest.raises(rk.StepTooLarge):
            cell.step(nudged(cell, 0.2), CLOSED, 0.1)
        assert cell.get_state().gripper.target_position == 1.0
        require_nothing_moves(cell, before)


def test_f4_b6_a_gripper_that_refuses_moves_no_arm(monkeypatch):
    with rk.make_workcell("fake") as cell:
        before = cell.get_state()

        def fail(position):
            raise rk.DeviceFault("the gripper is in a fault")

        monkeypatch.setattr(cell.gripper, "move", fail)
        with pytest.raises(rk.DeviceFault, match="gripper"):
            cell.step(nudged(cell), CLOSED, 0.1)
        require_nothing_moves(cell, before)


@pytest.mark.parametrize("mode", ["stopped", "fault", "silent"])
def test_f4_an_arm_that_takes_no_command_moves_no_gripper(mode):
    with rk.make_workcell("fake", **{"limits.state_max_age_s": 0.2}) as cell:
        body, command = cell.robot.inner, nudged(cell)
        if mode == "stopped":
            cell.robot.stop()
        elif mode == "fault":
            body.inject_fault("reflex")
        else:
            body.inject_silence(True)
            cell.clock.advance(0.3)
        with pytest.raises((rk.RobotStopped, rk.DeviceFault, rk.StaleState)):
            cell.step(command, CLOSED, 0.1)
        assert cell.gripper.get_state().target_position == 1.0


@pytest.mark.parametrize("mode", ["stopped", "fault"])
def test_a_gripper_lets_go_while_its_arm_is_stopped(mode):
    with rk.make_workcell("fake") as cell:
        cell.step(gripper=CLOSED, period_s=1.0)
        if mode == "stopped":
            cell.robot.stop()
        else:
            cell.robot.inner.inject_fault("reflex")
        state = cell.step(gripper=rk.GripperCommand(position=1.0), period_s=1.0)
        assert state.robot.mode == mode
        assert state.gripper.position == pytest.approx(1.0, abs=0.01)


STRANGE = [-0.1, -1e-9, float("nan"), float("inf"), 1e308, 10.001, 10**400, "0.1", None, True, np.True_, 1j, [0.1]]


@pytest.mark.parametrize("period_s", STRANGE, ids=lambda period_s: repr(period_s)[:9])
def test_a_period_is_checked_before_anything_is_sent(period_s):
    with rk.make_workcell("fake") as cell:
        before = cell.get_state()
        with pytest.raises(rk.InvalidCommand, match="period_s"):
            cell.step(nudged(cell), CLOSED, period_s)
        require_nothing_moves(cell, before)


@pytest.mark.parametrize("period_s", [0, 2, 0.5, 10.0, np.float32(0.5), np.float64(0.25), np.int64(1)])
def test_a_period_is_any_kind_of_number(period_s):
    with rk.make_workcell("fake") as cell:
        begun_s = cell.clock.now_s()
        cell.step(period_s=period_s)
        assert cell.clock.now_s() - begun_s == pytest.approx(float(period_s))


def test_b6_a_device_that_fails_is_reported_in_its_own_place(monkeypatch):
    with rk.make_workcell("fake") as cell:
        cell.reset(seed=0)

        def hidden():
            raise rk.StaleState("the tag was not seen for 1 s")

        def lost():
            raise rk.ConnectionFailed("the gripper does not answer")

        monkeypatch.setattr(cell.trackers["block"], "get_pose", hidden)
        monkeypatch.setattr(cell.gripper, "get_state", lost)
        state = cell.step(nudged(cell), period_s=0.1)
        assert state.accepted is not None
        assert state.gripper is None
        assert state.poses == {}
        assert {name: report.code for name, report in state.errors.items()} == {
            "gripper": "connection_failed", "trackers.block": "stale_state",
        }  # fmt: skip
        assert "not seen" in state.errors["trackers.block"].message
        assert rk.CellState.model_validate_json(state.model_dump_json()) == state
        monkeypatch.undo()
        assert cell.get_state().errors == {}


class Unreadable(Exception):
    def __str__(self):
        raise ValueError("an error in an error")


@pytest.mark.parametrize(("error", "code", "message"), [
    (OSError("usb gone"), "device_fault", "OSError: usb gone"),
    (KeyError("x"), "device_fault", "KeyError: 'x'"),
    (Unreadable(), "device_fault", "Unreadable, which does not say more"),
    (rk.RemoteTimeout("no answer"), "remote_timeout", "no answer"),
    (rk.InvalidConfiguration("no such tag"), "invalid_configuration", "no such tag"),
])  # fmt: skip
def test_b6_whatever_a_device_raises_the_arms_state_still_comes(monkeypatch, error, code, message):
    with rk.make_workcell("fake") as cell:
        start = cell.reset(seed=0).robot.tcp_pose_in_base[0]
        for device, measure in ((cell.gripper, "get_state"), (cell.trackers["block"], "get_pose")):
            monkeypatch.setattr(device, measure, fail_with(error))
        state = cell.step(nudged(cell), period_s=1.0)
        assert state.robot.tcp_pose_in_base[0] == pytest.approx(start + 0.02, abs=1e-4)
        assert set(state.errors) == {"gripper", "trackers.block"}
        assert {(report.code, report.message) for report in state.errors.values()} == {(code, message)}


def test_r11_a_step_says_how_much_longer_it_took():
    time = Time()
    with rk.make_workcell("fake", clock="real") as cell:
        cell.clock = RealClock(lambda: time.now_s, time.sleep)
        assert cell.step(period_s=0.1).overrun_s == pytest.approx(0.001)
        time.oversleeps_s = 2.9
        assert cell.step(period_s=0.1).overrun_s == pytest.approx(2.9, abs=0.01)
    with rk.make_workcell("fake") as cell:
        assert cell.step(period_s=0.1).overrun_s == 0.0


@pytest.mark.parametrize("replaced_by", ["hold", "stop", "reset"])
def test_r1_a_command_made_for_a_target_that_was_replaced_moves_nothing(replaced_by):
    with rk.make_workcell("fake") as cell:
        cell.reset(seed=0)
        state = cell.step(nudged(cell), period_s=0.1)
        epoch = state.robot.target_epoch
        assert cell.step(nudged(cell), period_s=0.1, target_epoch=epoch).robot.target_epoch == epoch
        if replaced_by == "hold":
            cell.robot.hold()
        elif replaced_by == "stop":
            cell.robot.stop()
            cell.robot.recover()
        else:
            cell.reset(seed=0)
        before = cell.get_state()
        with pytest.raises(rk.TargetReplaced, match="fresh state"):
            cell.step(nudged(cell), CLOSED, 0.1, epoch)
        require_nothing_moves(cell, before)


def stop_and_recover(arm):
    arm.stop()
    arm.recover()


EVENTS = {"a hold": lambda arm: arm.hold(), "a stop and a recovery": stop_and_recover}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("says_its_epoch", [True, False])
@pytest.mark.parametrize("during", ["check", "move"])
def test_r1_what_comes_while_the_gripper_is_told_makes_the_command_one_of_the_past(
    monkeypatch, event, says_its_epoch, during
):
    """A gripper may take its time; the arm's command was made before the stop."""
    with rk.make_workcell("fake") as cell:
        command, epoch = nudged(cell), cell.get_state().robot.target_epoch
        device = cell.gripper if during == "move" else cell.robot
        inner, sent = getattr(device, during), []
        monkeypatch.setattr(cell.robot.inner, "_follow", sent.append)

        def slow(asked):
            inner(asked)
            EVENTS[event](cell.robot)

        monkeypatch.setattr(device, during, slow)
        with pytest.raises(rk.TargetReplaced, match=f"since epoch {epoch} "):
            cell.step(command, CLOSED, 0.1, epoch if says_its_epoch else None)
        assert sent == []
        assert cell.get_state().robot.mode == "holding"
        assert cell.gripper.get_state().target_position == (0.0 if during == "move" else 1.0)


class LockAfter:
    """A lock that something comes in before."""

    def __init__(self, lock, event):
        self._lock, self._events = lock, [event]

    def __enter__(self):
        if self._events:
            self._events.pop()()
        self._lock.acquire()

    def __exit__(self, *_):
        self._lock.release()

    def acquire(self, timeout=-1):
        return self._lock.acquire(timeout=timeout)

    def release(self):
        self._lock.release()


@pytest.mark.parametrize("says_its_epoch", [True, False])
@pytest.mark.parametrize(
    ("event", "error"),
    [("a hold", rk.TargetReplaced), ("a stop and a recovery", rk.TargetReplaced), ("a stop", rk.RobotStopped)],
)
def test_r1_a_command_that_waited_for_the_arm_is_one_of_the_past(monkeypatch, event, error, says_its_epoch):
    with rk.make_workcell("fake") as cell:
        command, epoch, sent = nudged(cell), cell.get_state().robot.target_epoch, []
        arm, act = cell.robot, EVENTS.get(event, lambda arm: arm.stop())
        monkeypatch.setattr(arm.inner, "_follow", sent.append)
        monkeypatch.setattr(arm.machine, "lock", LockAfter(arm.machine.lock, lambda: act(arm)))
        with pytest.raises(error):
            arm.send(command, epoch if says_its_epoch else None)
        assert sent == []


@pytest.mark.parametrize(
    ("event", "error"),
    [("a hold", rk.TargetReplaced), ("a stop and a recovery", rk.TargetReplaced), ("a stop", rk.RobotStopped)],
)
def test_r1_a_joint_motion_that_waited_for_the_arm_is_one_of_the_past(monkeypatch, event, error):
    with rk.make_workcell("fake") as cell:
        arm, act = cell.robot, EVENTS.get(event, lambda arm: arm.stop())
        before = arm.get_state().joint_positions_rad
        monkeypatch.setattr(arm.machine, "lock", LockAfter(arm.machine.lock, lambda: act(arm)))
        with pytest.raises(error):
            arm.move_to_joint_positions(before + np.array((0.1, 0, 0, 0, 0, 0, 0)))
        np.testing.assert_array_equal(arm.get_state().joint_positions_rad, before)


def test_r1_a_bare_arm_refuses_an_epoch_that_is_over():
    with rk.make_workcell("fake", gripper=None) as cell:
        bare = rk.Workcell("bare", cell.clock, cell.robot.inner)
        command, epoch = nudged(cell), cell.robot.target_epoch
        assert bare.send(command, None, epoch) == command
        cell.robot.hold()
        with pytest.raises(rk.TargetReplaced):
            bare.send(command, None, epoch)
        assert bare.send(command) == command


def test_b8_the_path_of_a_joint_motion_that_waited_begins_where_the_arm_is_by_then(monkeypatch):
    arm, body = build(ManualClock(), max_joint_speed_rad_s=1.0)
    home, way = body.joints_rad, np.array((0, 0, 0, 0.5, 0, 0, 0))
    begin, rates_hz = body.begin_joint_motion, []

    def push():
        body.joints_rad = home + 0.5 * way

    def begin_and_tell(goal_rad, rate_max_hz):
        rates_hz.append(rate_max_hz)
        return begin(goal_rad, rate_max_hz)

    monkeypatch.setattr(body, "begin_joint_motion", begin_and_tell)
    monkeypatch.setattr(arm.machine, "lock", LockAfter(arm.machine.lock, push))
    arm.move_to_joint_positions(home + way)
    assert rates_hz == [pytest.approx(4.0)], "a quarter of a radian is left"


def test_r1_a_bare_arm_refuses_an_epoch_that_ended_while_the_gripper_was_told(monkeypatch):
    with rk.make_workcell("fake") as cell:
        bare = rk.Workcell("bare", cell.clock, cell.robot.inner, cell.gripper)
        command, epoch, sent = nudged(cell), cell.robot.target_epoch, []
        monkeypatch.setattr(cell.robot.inner, "_follow", sent.append)
        monkeypatch.setattr(cell.gripper, "move", lambda _: cell.robot.hold())
        with pytest.raises(rk.TargetReplaced):
            bare.send(command, CLOSED, epoch)
        assert sent == []
