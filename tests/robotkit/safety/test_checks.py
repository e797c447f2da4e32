"""Laws of what is checked before anything reaches an arm that enforces nothing, and in the same way without sending."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import robotkit as rk
from robotkit.devices import AdaptedRobot
from robotkit.drivers.fake import ManualClock
from robotkit.safety import make_safe
from tests.support.recording_arm import InThread, PlainArm, RecordingArm, fail_with, joint_command
from tests.support.watched_arm import BOX, build, kinds, moved, pose_command

CHECKED = {
    "kind": (rk.Unsupported, {}, lambda arm: rk.JointCommand.unchecked(kind="twist", joint_positions_rad=np.zeros(7))),
    "no number": (rk.InvalidCommand, {}, lambda arm: rk.JointCommand.unchecked(
        kind="joint", joint_positions_rad=np.full(7, np.nan))),
    "too short": (rk.InvalidCommand, {}, lambda arm: rk.JointCommand.unchecked(
        kind="joint", joint_positions_rad=np.zeros(6))),
    "joint range": (rk.JointLimitExceeded, {}, lambda arm: joint_command(arm, 7.0)),
    "box": (rk.OutsideWorkspace, {"workspace": BOX}, lambda arm: pose_command(0.3)),
    "path": (rk.OutsideWorkspace, {"workspace": BOX}, lambda arm: joint_command(arm, 0.3)),
    "step": (rk.StepTooLarge, {"max_translation_step_m": 0.05}, lambda arm: pose_command(0.06)),
    "turn": (rk.StepTooLarge, {"max_rotation_step_rad": 0.05}, lambda arm: pose_command(turn=0.06)),
    "joint step": (rk.StepTooLarge, {"max_joint_step_rad": 0.05}, lambda arm: joint_command(arm, 0.06)),
}  # fmt: skip


@pytest.mark.parametrize("what", CHECKED)
def test_check_and_send_refuse_the_same_and_nothing_reaches_the_arm(what):
    error, limits, command = CHECKED[what]
    arm, body = build(ManualClock(), **limits)
    heard = kinds(arm)
    epoch = body.machine.epoch
    for call in (arm.check, arm.send):
        with pytest.raises(error) as raised:
            call(command(arm))
        assert type(raised.value) is error
    assert body.calls == []
    assert body.machine.epoch == epoch
    assert heard == ["refused"], "a question is no refused command"


@pytest.mark.parametrize("what", ["kind", "no number", "too short", "joint range"])
def test_what_no_arm_could_do_is_said_to_be_so_also_of_an_arm_that_is_stopped(what):
    error, limits, command = CHECKED[what]
    arm, _ = build(ManualClock(), **limits, workspace=BOX, max_translation_step_m=0.05, max_joint_step_rad=0.05)
    arm.stop()
    for call in (arm.check, arm.send):
        with pytest.raises(error) as raised:
            call(command(arm))
        assert type(raised.value) is error
    for call in (arm.check, arm.send):
        with pytest.raises(rk.InvalidCommand, match=r"length 1, got \[2\.0, 0\.0, 0\.0, 0\.0\]"):
            call(rk.PoseCommand.unchecked(kind="pose", tcp_pose_in_base=np.array((0, 0, 0, 2.0, 0, 0, 0))))
        with pytest.raises(rk.RobotStopped):
            call(pose_command(9.0))
        with pytest.raises(rk.RobotStopped):
            call(joint_command(arm, 1.0))
    for goal, asked in ((np.zeros(6), rk.InvalidCommand), (np.full(7, 7.0), rk.JointLimitExceeded),
                        (arm.spec.reset_joint_positions_rad + 0.3, rk.RobotStopped)):  # fmt: skip
        with pytest.raises(asked) as raised:
            arm.move_to_joint_positions(goal)
        assert type(raised.value) is asked


def test_it_is_the_arm_that_it_wraps():
    arm, body = build(ManualClock())
    assert (arm.config, arm.context, arm.spec) == (body.config, body.context, body.spec)
    assert arm.machine is body.machine
    for change, is_connected in ((body.disconnect, False), (body.connect, True)):
        change()
        assert arm.is_connected is is_connected


def test_a_command_that_was_only_checked_costs_nothing():
    arm, body = build(ManualClock(), max_translation_step_m=0.05, max_tcp_speed_m_s=0.2, speed_window_s=0.25)
    for dx in (0.05, -0.05, 0.05):
        arm.check(pose_command(dx))
    arm.send(pose_command(0.05))
    assert body.calls == ["follow"]
    with pytest.raises(rk.StepTooLarge, match="max_tcp_speed_m_s"):
        arm.send(pose_command(0.04))


def test_check_asks_the_arm_itself_and_its_mode():
    plain = PlainArm()
    arm = make_safe(plain, rk.SafetyLimits(), plain.context.clock)
    with pytest.raises(rk.NotConnected):
        arm.check(pose_command())
    arm.connect()
    assert isinstance(arm.inner, AdaptedRobot)
    arm.check(pose_command())
    plain.on["check"] = fail_with(rk.InvalidCommand("the arm's own reason"))
    with pytest.raises(rk.InvalidCommand, match="own reason"):
        arm.check(pose_command())
    plain.on.clear()
    arm.stop()
    with pytest.raises(rk.RobotStopped):
        arm.check(pose_command())


@pytest.mark.parametrize("mode", ["stopped", "fault"])
def test_an_old_measurement_of_an_arm_that_is_not_commanded_is_told(mode):
    arm, body = build(ManualClock(), state_max_age_s=0.1)
    old = body._measure()
    body._measure = lambda: old
    arm.get_state()
    arm._clock.advance(0.2)
    with pytest.raises(rk.StaleState, match=r"0\.200 s; at most 0\.1 s"):
        arm.get_state()
    if mode == "fault":
        body.fault = body.machine.fault_of(("torn",))
    else:
        arm.stop()
    assert arm.get_state().mode == mode


def test_a_way_back_into_the_box_is_measured_from_the_arm():
    arm, body = build(ManualClock(), workspace=BOX)
    body._measure = moved(body, 0.3)
    arm.forget_target()
    arm.send(pose_command(0.25))
    with pytest.raises(rk.OutsideWorkspace, match="bring the target inside"):
        arm.send(pose_command(0.31))
    assert body.calls == ["hold", "follow"], "it stands where it was when it forgot its target"


def test_a_joint_motion_is_checked_before_it_begins_and_told_when_refused():
    arm, body = build(ManualClock(), workspace=BOX, state_max_age_s=0.1)
    heard = kinds(arm)
    for goal, error in (
        ("north", rk.InvalidCommand),
        (np.zeros(6), rk.InvalidCommand),
        (np.full(7, np.inf), rk.InvalidCommand),
        (arm.spec.reset_joint_positions_rad + 7.0, rk.JointLimitExceeded),
        (arm.spec.reset_joint_positions_rad + 0.3, rk.OutsideWorkspace),
    ):
        with pytest.raises(error):
            arm.move_to_joint_positions(goal)
    assert heard == ["refused"] * 5
    assert body.calls == []
    arm.stop()
    with pytest.raises(rk.RobotStopped):
        arm.move_to_joint_positions(arm.spec.reset_joint_positions_rad)
    arm.recover()
    body.calls.clear()
    arm.move_to_joint_positions(arm.spec.reset_joint_positions_rad + 0.1)
    assert body.calls == ["travel", "hold"]


def test_a_law_outside_the_bounds_reaches_no_arm_and_is_told():
    arm, body = build(ManualClock(), compliance=rk.ComplianceLimits(max_contact_force_n=5.0))
    heard = kinds(arm)
    with pytest.raises(rk.InvalidCommand, match="at most 5 N"):
        arm.set_compliance(rk.ComplianceParams())
    assert heard == ["refused"]
    assert body.calls == []


def test_joint_targets_count_from_the_last_one_and_not_from_the_arm():
    arm, body = build(ManualClock(), max_joint_step_rad=0.05, max_joint_speed_rad_s=9.0)
    for turn_rad in (0.05, 0.1, 0.15):
        arm.send(joint_command(arm, turn_rad))
    with pytest.raises(rk.StepTooLarge):
        arm.send(joint_command(arm, 0.05))
    assert body.calls == ["follow"] * 3


def test_a_question_of_somebody_else_does_not_change_what_a_command_costs():
    arm, body = build(ManualClock(), max_tcp_speed_m_s=0.2, speed_window_s=0.5)
    questions = []

    def ask_meanwhile() -> None:
        asked = threading.Event()
        questions.append(InThread(lambda: (arm.check(pose_command(0.05)), asked.set())))
        asked.wait(0.1)

    body.on["follow"] = ask_meanwhile
    arm.send(pose_command(0.06))
    assert questions[0].join() is None
    body.on.clear()
    with pytest.raises(rk.StepTooLarge, match=r"at most 0\.0400 m is allowed now"):
        arm.send(pose_command(0.11))


def test_an_arm_that_somebody_else_has_connected_is_inside_the_same_limits():
    body = RecordingArm()
    body.connect()
    arm = make_safe(body, rk.SafetyLimits(workspace=BOX, state_max_age_s=0.1), ManualClock())
    with pytest.raises(rk.OutsideWorkspace):
        arm.send(pose_command(0.3))
    with pytest.raises(rk.OutsideWorkspace):
        arm.send(joint_command(arm, 0.3))
    body._measure = moved(body, 0.3)
    arm.send(pose_command())
    arm.connect()
    assert arm.get_state().mode == "tracking"
    body._measure = moved(body, 0.35)
    assert arm.get_state().mode == "stopped"


def test_an_arm_is_not_measured_for_a_command_while_its_newest_measurement_is_fresh():
    arm, body = build(ManualClock(), state_max_age_s=0.1)
    measured = []
    body.on["measure"] = lambda: measured.append(arm._clock.now_s())
    arm._clock.advance(5.0)
    arm.get_state()
    arm._clock.advance(0.1)
    arm.send(pose_command())
    arm._clock.advance(0.01)
    arm.send(pose_command())
    assert measured == [5.0, pytest.approx(5.11)]


@pytest.mark.parametrize("late", [1, 2])
def test_r11_a_thread_that_was_held_up_with_its_measurement_measures_once_more(monkeypatch, late):
    """As where the whole process was suspended meanwhile; a device that measures nothing new stays too old."""
    clock = ManualClock()
    arm, _ = build(clock, state_max_age_s=0.2)
    measure, delays_s = arm._measure, iter([1.0] * late)

    def held_up():
        state = measure()
        clock.advance(next(delays_s, 0.0))
        return state

    monkeypatch.setattr(arm, "_measure", held_up)
    if late > 1:
        with pytest.raises(rk.StaleState, match="measured nothing for 1"):
            arm.get_state()
    else:
        assert arm.get_state().stamp_s == clock.now_s()
