"""Laws of the watch, round by round: a silence, a hold that fails, a driver that fails, and who hears of it."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers.fake import ManualClock
from robotkit.safety import make_safe
from tests.support.recording_arm import Broken, RecordingArm, fail_with
from tests.support.safe_arm import FreeClock
from tests.support.watched_arm import build, kinds, pose_command, watch_once, watched


@pytest.mark.parametrize("error", [rk.DeviceFault("does not hold"), Broken("a fault of the driver")])
def test_whatever_a_hold_of_the_watchdog_raises_the_arm_is_stopped(error):
    arm, body, clock = watched()
    heard = kinds(arm)
    arm.send(pose_command())
    body.on["hold"] = fail_with(error)
    clock.advance(0.21)
    watch_once(arm)
    assert body.calls == ["follow", "hold", "halt"]
    assert arm.get_state().stop.author == "watchdog"
    assert str(error) in arm.get_state().stop.cause
    assert heard == ["stop"], "there was no hold"


def test_an_arm_that_cannot_be_measured_is_stopped_whatever_its_driver_raises():
    arm, body, _ = watched()
    arm.send(pose_command())
    body._find_fault = fail_with(Broken("a fault of the driver"))
    with pytest.raises(Broken):
        watch_once(arm)
    assert body.calls == ["follow", "halt"]
    assert body.machine.stop.cause == "a fault of the driver"
    assert body.machine.stop.author == "safety monitor"
    with pytest.raises(Broken):
        watch_once(arm)
    assert body.calls == ["follow", "halt"], "once"


def test_an_error_without_words_is_a_cause_too():
    arm, body, _ = watched()
    body._find_fault = fail_with(Broken())
    with pytest.raises(Broken):
        watch_once(arm)
    assert body.machine.stop.cause == "Broken()"


def test_the_watchdog_holds_at_its_time_and_not_before():
    arm, body, clock = watched(watchdog_s=0.25)
    heard = kinds(arm)
    arm.send(pose_command())
    clock.advance(0.1875)
    watch_once(arm)
    assert body.calls == ["follow"]
    clock.advance(0.0625)
    watch_once(arm)
    assert body.calls == ["follow", "hold"]
    clock.advance(5.0)
    watch_once(arm)
    assert body.calls == ["follow", "hold"]
    assert heard == ["hold"]


@pytest.mark.parametrize("until", ["stop", "fault", "hold", "reset"])
def test_the_watchdog_has_nothing_to_do_with_an_arm_that_follows_nothing(until):
    arm, body, clock = watched()
    arm.send(pose_command())
    if until == "fault":
        body.fault = body.machine.fault_of(("torn",))
        arm.get_state()
    else:
        {"stop": arm.stop, "hold": arm.hold, "reset": arm.forget_target}[until]()
    calls = list(body.calls)
    clock.advance(1.0)
    watch_once(arm)
    assert body.calls == calls
    if until in ("stop", "fault"):
        arm.recover()
    arm.send(pose_command())
    clock.advance(0.1)
    watch_once(arm)
    assert body.calls[-1] == "follow", "the silence of before does not count"
    clock.advance(0.1)
    watch_once(arm)
    assert body.calls[-1] == "hold"


@pytest.mark.parametrize("error", [rk.JointLimitExceeded("not there"), rk.CommandRejected("not now")])
def test_a_command_that_the_arm_refuses_is_no_target_and_no_sign_of_life(error):
    arm, body, clock = watched(max_translation_step_m=0.05, max_tcp_speed_m_s=0.4, speed_window_s=0.1)
    arm.send(pose_command())
    clock.advance(0.1)
    body.on["follow"] = fail_with(error)
    for _ in range(3):
        with pytest.raises(type(error)):
            arm.send(pose_command(0.04))
    body.on.clear()
    arm.send(pose_command(-0.04))
    with pytest.raises(rk.StepTooLarge):
        arm.send(pose_command(0.04))


def test_m2_refused_by_the_arm_is_no_sign_of_life_either():
    arm, body, clock = watched()
    arm.send(pose_command())
    clock.advance(0.15)
    body.on["follow"] = fail_with(rk.CommandRejected("not now"))
    with pytest.raises(rk.CommandRejected):
        arm.send(pose_command())
    clock.advance(0.06)
    watch_once(arm)
    assert body.calls[-1] == "hold"


def test_in_lockstep_whoever_measures_judges_the_links_and_beside_a_watch_only_the_watch():
    wall = rk.Plane(name="wall", point_in_base_m=(0.1, 0, 0), normal_in_base=(-1, 0, 0))
    arm, body = build(ManualClock(), planes=(wall,))
    arm._monitor._links_m.allows(0.0)
    assert "wall" in arm.get_state().stop.cause
    arm, body, _ = watched(planes=(wall,))
    arm._monitor._links_m.allows(0.0)
    arm._watch = object()
    assert arm.get_state().mode == "holding"
    watch_once(arm)
    assert body.machine.mode == "stopped"


@pytest.mark.parametrize(("clock", "limits", "needs"), [
    (ManualClock, {"watchdog_s": 0.2, "max_force_n": 1.0}, False),
    (FreeClock, {}, False),
    (FreeClock, {"watchdog_s": 0.2}, True),
    (FreeClock, {"max_force_n": 1.0}, True),
])  # fmt: skip
def test_there_is_a_watch_where_time_passes_and_something_is_to_be_watched(clock, limits, needs):
    body = RecordingArm()
    arm = make_safe(body, rk.SafetyLimits(**limits), clock())
    assert (arm._watch is not None) is needs


def test_in_lockstep_no_silence_counts():
    arm, body = build(ManualClock(), watchdog_s=0.2)
    arm.send(pose_command())
    arm._clock.advance(9.0)
    watch_once(arm)
    assert body.calls == ["follow"]


def test_each_event_says_what_who_and_when():
    arm, body, clock = watched(max_translation_step_m=0.05)
    events: list = []
    arm.subscribe(events.append)
    clock.advance(1.0)
    with pytest.raises(rk.StepTooLarge):
        arm.send(pose_command(0.1))
    arm.stop_for("the door is open", "anna")
    clock.advance(1.0)
    arm.recover()
    body.fault = body.machine.fault_of(("torn", "hot"))
    arm.get_state()
    arm.recover()
    arm.send(pose_command())
    clock.advance(1.0)
    watch_once(arm)
    told = [(event.kind, event.author, event.stamp_s) for event in events]
    assert told == [
        ("refused", "client", 1.0), ("stop", "anna", 1.0), ("recover", "client", 2.0), ("fault", "device", 2.0),
        ("recover", "client", 2.0), ("hold", "watchdog", 3.0),
    ]  # fmt: skip
    assert events[0].message.startswith("a pose command: the tool target is 0.1000 m")
    assert events[1].message == "the door is open"
    assert events[3].message == "torn, hot"
    assert events[5].message == "no command came for 0.2 s"


def test_an_arm_that_is_stopped_is_not_stopped_by_each_measurement():
    arm, body, _ = watched(max_force_n=1.0)
    heard = kinds(arm)
    measure = body._measure
    body._measure = lambda: measure()._replace(wrench_in_tcp=np.full(6, 9.0))
    for _ in range(3):
        watch_once(arm)
        arm.get_state()
    assert body.calls == ["halt"]
    assert heard == ["stop"]


def test_whoever_hears_of_a_stop_hears_of_it_when_the_arm_was_told():
    arm, body, _ = watched()
    seen: list[list[str]] = []
    arm.subscribe(lambda event: seen.append(list(body.calls)))
    arm.stop()
    arm.recover()
    assert seen == [["halt"], ["halt", "clear", "start"]]


LOST = [rk.RemoteTimeout("no answer"), OSError("the cable"), KeyboardInterrupt()]


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
def test_b4_an_arm_that_took_a_command_whose_answer_was_lost_holds_when_its_client_falls_silent(error):
    arm, body, clock = watched()
    body.on["follow"] = fail_with(error)
    with pytest.raises(type(error)):
        arm.send(pose_command())
    clock.advance(0.3)
    arm._watchdog.look()
    assert body.calls == ["follow", "hold"]


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
def test_b8_a_command_whose_answer_was_lost_is_spent(error):
    arm, body, clock = watched(max_tcp_speed_m_s=0.2, speed_window_s=0.1, max_translation_step_m=0.03)
    clock.advance(1.0)
    body.on["follow"] = fail_with(error)
    with pytest.raises(type(error)):
        arm.send(pose_command(0.02))
    body.on.clear()
    with pytest.raises(rk.StepTooLarge, match=r"0\.0010 m from the previous one; at most 0\.0000 m"):
        arm.send(pose_command(0.021))
    clock.advance(0.1)
    arm.send(pose_command(0.03))


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("kind", ["pose", "joint"])
def test_b8_commands_that_never_arrive_lead_no_step_farther_from_the_arm(error, kind):
    """The cable is out, and a client goes on: the first command that arrives again is no leap."""
    arm, body, _ = watched(max_translation_step_m=0.02, max_joint_step_rad=0.02)
    home_rad = body.joints_rad.copy()

    def command(step):
        if kind == "pose":
            return pose_command(step)
        return rk.JointCommand(joint_positions_rad=home_rad + step * np.eye(7)[0])

    body.on["follow"] = fail_with(error)
    with pytest.raises(type(error)):
        arm.send(command(0.015))
    for step in (0.03, -0.01):
        with pytest.raises(rk.StepTooLarge):
            arm.send(command(step))
    for _ in range(3):
        with pytest.raises(type(error)):
            arm.send(command(0.015))
    body.on.clear()
    with pytest.raises(rk.StepTooLarge):
        arm.send(command(0.0201))
    arm.send(command(0.0199))
    arm.send(command(0.0395))


def test_b8_a_command_that_the_arm_refused_is_not_spent():
    arm, body, clock = watched(max_tcp_speed_m_s=0.2, speed_window_s=0.1)
    clock.advance(1.0)
    body.on["follow"] = fail_with(rk.InvalidCommand("not there"))
    with pytest.raises(rk.InvalidCommand):
        arm.send(pose_command(0.02))
    body.on.clear()
    arm.send(pose_command(-0.02))


def test_a_silence_begins_when_the_command_was_looked_at_however_long_the_arm_takes_it():
    arm, body, clock = watched(watchdog_s=0.25)
    body.on["follow"] = lambda: clock.advance(0.1875)
    arm.send(pose_command())
    watch_once(arm)
    assert body.calls == ["follow"]
    clock.advance(0.0625)
    watch_once(arm)
    assert body.calls == ["follow", "hold"]
