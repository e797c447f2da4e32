"""Laws of what the safety layer keeps over a stop, a recovery and a new connection, and what it forgets."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers.fake import ManualClock
from robotkit.safety import make_safe
from tests.support.recording_arm import InThread, RecordingArm, fail_with
from tests.support.safe_arm import FreeClock
from tests.support.waiting import wait_until
from tests.support.watched_arm import BOX, NO_KINEMATICS, build, kinds, moved, pose_command, watch_once, watched


def test_m5_a_stop_that_fails_is_told_and_latched():
    arm, body = build(ManualClock())
    heard = kinds(arm)
    body.on["halt"] = fail_with(rk.DeviceFault("not now"))
    with pytest.raises(rk.DeviceFault):
        arm.stop()
    assert heard == ["stop"]
    with pytest.raises(rk.RobotStopped):
        arm.send(pose_command())
    assert body.calls == ["halt"]


def test_a_recovery_that_fails_is_not_told():
    arm, body = build(ManualClock())
    arm.stop()
    heard = kinds(arm)
    body.on["clear"] = fail_with(rk.DeviceFault("not now"))
    with pytest.raises(rk.DeviceFault):
        arm.recover()
    assert heard == []
    body.on.clear()
    arm.recover()
    assert heard == ["recover"]


@pytest.mark.parametrize("trouble", ["fault", "error", "force", "stop"])
def test_f8_after_a_recovery_the_first_state_and_the_first_command_know_nothing_of_the_trouble(trouble):
    arm, body, _ = watched(max_force_n=10.0, state_max_age_s=0.5)
    measure = body._measure
    if trouble == "fault":
        body.fault = body.machine.fault_of(("torn",))
    elif trouble == "error":
        arm.get_state()
        body._measure = fail_with(rk.StaleState("no packets"))
    elif trouble == "force":
        body._measure = lambda: measure()._replace(wrench_in_tcp=np.full(6, 9.0))
    else:
        arm.stop()
    watch_once(arm)
    with pytest.raises((rk.DeviceFault, rk.StaleState, rk.RobotStopped)):
        arm.send(pose_command())
    body._measure = measure
    arm.recover()
    state = arm.get_state()
    assert (state.mode, state.faults, state.fault_since_s, state.stop) == ("holding", (), None, None)
    arm.send(pose_command())
    watch_once(arm)
    assert arm.get_state().mode == "tracking"


def test_an_arm_outside_its_box_recovers_although_the_watch_measures_at_once():
    arm, body = build(
        ManualClock(), NO_KINEMATICS, workspace=BOX.model_copy(update={"position_max_m": np.array((0.4, 0.2, 0.5))})
    )
    assert arm.get_state().mode == "holding", "it was there when watching began"
    body._measure = moved(body, 0.1)
    assert arm.get_state().mode == "stopped"
    recovered = body.machine.recovered

    def recover_and_watch(seen: int) -> None:
        recovered(seen)
        watch_once(arm)

    body.machine.recovered = recover_and_watch
    arm.recover()
    assert arm.get_state().mode == "holding"
    body._measure = moved(body, 0.2)
    assert arm.get_state().mode == "stopped"


def test_a_measurement_from_before_a_recovery_is_not_where_the_leash_begins():
    """A thread was held up between measuring the arm, then inside its box, and judging it."""
    arm, body, _ = watched(NO_KINEMATICS, workspace=BOX)
    arm.get_state()
    measure, has_measured, may_judge = arm._measure, threading.Event(), threading.Event()

    def measure_and_wait():
        state = measure()
        has_measured.set()
        assert may_judge.wait(10.0)
        return state

    arm._measure = measure_and_wait
    late = InThread(lambda: arm._judge(watches_links=True))
    assert has_measured.wait(10.0)
    arm._measure = measure
    body._measure = moved(body, 0.3)
    assert arm.get_state().mode == "stopped"
    recover = body.machine.recovered

    def recover_beside(*arguments):
        may_judge.set()
        late.join()
        return recover(*arguments)

    body.machine.recovered = recover_beside
    arm.recover()
    assert [arm.get_state().mode for _ in range(2)] == ["holding"] * 2


def test_a_measurement_over_a_new_connection_is_not_judged_by_where_the_last_one_found_the_arm():
    """A thread asked before, and was answered after somebody had moved the arm by hand."""
    arm, body, _ = watched(NO_KINEMATICS, workspace=BOX)
    arm.get_state()
    measure, has_asked, may_measure = arm._measure, threading.Event(), threading.Event()

    def wait_and_measure():
        has_asked.set()
        assert may_measure.wait(10.0)
        return measure()

    arm._measure = wait_and_measure
    late = InThread(lambda: arm._judge(watches_links=True))
    assert has_asked.wait(10.0)
    arm._measure = measure
    arm.disconnect()
    body._measure = moved(body, 0.3)
    arm.connect()
    may_measure.set()
    late.join()
    assert arm.get_state().mode == "holding"


def test_a_world_that_was_reset_put_the_arm_where_it_is():
    arm, body = build(ManualClock(), workspace=BOX)
    arm.get_state()
    body._measure = moved(body, 0.3)
    arm.forget_target()
    assert arm.get_state().mode == "holding"


def test_m1_connecting_twice_changes_nothing():
    arm, body, clock = watched(NO_KINEMATICS, workspace=BOX)
    arm.get_state()
    arm.send(pose_command(0.01))
    arm.connect()
    body._measure = moved(body, 0.25)
    arm.get_state()
    assert body.machine.mode == "stopped", "the leash is that of the first connection"
    arm.recover()
    arm.send(pose_command(0.1))
    arm.connect()
    clock.advance(0.3)
    watch_once(arm)
    assert body.calls[-1] == "hold"


def test_m1_a_new_connection_begins_anew():
    arm, body, _ = watched(NO_KINEMATICS, workspace=BOX, state_max_age_s=0.5)
    arm.get_state()
    arm.disconnect()
    body._measure = moved(body, 0.3)
    arm.connect()
    assert arm.get_state().mode == "holding", "a person moved it meanwhile"
    arm.disconnect()
    body._measure = fail_with(rk.StaleState("nothing yet"))
    body.calls.clear()
    with pytest.raises(rk.StaleState):
        arm.connect()
    assert not arm.is_connected
    assert "start" not in body.calls, "control begins where the arm is measured over this connection"


@pytest.mark.parametrize("was_down", ["stopped", "fault"])
def test_b3_control_begins_again_only_where_the_arm_is_measured_by_now(was_down):
    """A packet that is read again says where the arm was before somebody moved it."""
    arm, body, clock = watched(state_max_age_s=0.05)
    measure, old = body._measure, body._measure()
    if was_down == "stopped":
        arm.stop()
    else:
        body.fault = body.machine.fault_of(("torn",))
        watch_once(arm)
    body._measure = lambda: old
    clock.advance(0.1)
    body.calls.clear()
    with pytest.raises(rk.StaleState, match=r"was measured 0\.1"):
        arm.recover()
    assert arm.get_state().mode in ("stopped", "fault")
    assert not {"start", "hold", "follow"} & set(body.calls)
    answers = iter([old, old])
    body._measure = lambda: next(answers, None) or measure()
    arm.recover()
    assert arm.get_state().mode == "holding"


def test_b3_a_recovery_of_an_arm_that_is_not_down_lengthens_no_leash():
    """Programs that recover before each command would lose the watch over the box."""
    arm, body, _ = watched(NO_KINEMATICS, workspace=BOX)
    arm.get_state()
    for step in range(1, 30):
        body._measure = moved(body, 0.199 + 0.002 * step)
        if arm.get_state().mode == "stopped":
            break
        arm.recover()
    assert step == 11, "20 mm outside the box are allowed"


@pytest.mark.parametrize("failing", ["robotkit-monitor", "robotkit-watchdog"])
def test_b3_an_arm_whose_watch_cannot_begin_is_disconnected_again(failing, monkeypatch):
    body = RecordingArm()
    object.__setattr__(body.context, "clock", FreeClock())
    arm = make_safe(body, rk.SafetyLimits(watchdog_s=0.2, state_max_age_s=0.5), body.context.clock)
    start = threading.Thread.start

    def start_unless(thread):
        if thread.name == failing:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_unless)
    with pytest.raises(rk.DeviceFault, match=r"the watch over the arm cannot begin: .*can't start new thread"):
        arm.connect()
    assert not arm.is_connected
    assert body.calls[-1] == "close"
    monkeypatch.undo()
    arm.connect()
    rounds = arm._watch.rounds
    wait_until(lambda: arm._watch.rounds > rounds + 1)
    arm.disconnect()


def test_steps_of_a_new_connection_count_from_the_arm():
    arm, body = build(ManualClock(), max_translation_step_m=0.05)
    arm.send(pose_command(0.05))
    arm.send(pose_command(0.1))
    arm.disconnect()
    arm.connect()
    with pytest.raises(rk.StepTooLarge):
        arm.send(pose_command(0.1))
    arm.send(pose_command(0.05))
    assert body.calls.count("follow") == 3


def test_a_fault_is_told_once_each_time_also_over_a_connection():
    arm, body = build(ManualClock())
    heard = kinds(arm)
    for _ in range(2):
        body.fault = body.machine.fault_of(("torn",))
        arm.get_state()
        arm.get_state()
        body.fault = None
        arm.disconnect()
        arm.connect()
        arm.get_state()
    assert heard == ["fault", "fault"]


def test_the_watch_ends_before_the_arm_is_closed_and_takes_no_goodbye_for_a_fault():
    body = RecordingArm()
    arm = make_safe(body, rk.SafetyLimits(watchdog_s=0.2), FreeClock())
    arm.connect()
    watches = []
    body.on["halt"] = lambda: watches.append(arm._watch._running is not None)
    arm.disconnect()
    assert watches == [False]
    assert body.machine.stop is None


@pytest.mark.parametrize("error", [rk.DeviceFault("encoder"), OSError("the cable"), rk.StaleState("no packets")])
@pytest.mark.parametrize("was_down", ["stopped", "fault"])
def test_b6_an_arm_that_cannot_be_measured_in_its_recovery_is_not_said_to_hold(error, was_down):
    """A measurement of just before, although it is young enough, says nothing of what came since."""
    arm, body, _ = watched(state_max_age_s=0.5)
    arm.get_state()
    if was_down == "stopped":
        arm.stop()
    else:
        body.fault = body.machine.fault_of(("torn",))
        watch_once(arm)
    heard = kinds(arm)
    body.on["clear"] = lambda: setattr(body, "_measure", fail_with(error))
    body.calls.clear()
    with pytest.raises((rk.DeviceFault, rk.StaleState)):
        arm.recover()
    assert body.machine.mode in ("stopped", "fault")
    assert "start" not in body.calls
    assert "recover" not in heard


def test_b6_a_fault_that_comes_as_control_begins_is_what_a_recovery_raises():
    arm, body, _ = watched(state_max_age_s=0.5)
    arm.stop()
    body.on["start"] = lambda: setattr(body, "fault", body.machine.fault_of(("torn",)))
    with pytest.raises(rk.DeviceFault, match="torn"):
        arm.recover()
    assert body.machine.mode == "fault"
