"""Laws of an arm that was halted and moves all the same: by its places, whatever it says of its speed and its mode."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from robotkit.cli.reading import keep_from_control
from robotkit.devices import AdaptedRobot
from robotkit.errors import DeviceFault
from robotkit.safety import make_safe
from robotkit.safety import standstill as standstill_module
from robotkit.safety.monitor import Monitor
from robotkit.safety.standstill import Standstill
from robotkit.schema import ComplianceParams, RobotState, SafetyLimits
from tests.support.interruption import Interruption, interrupted
from tests.support.recording_arm import InThread, PlainArm, RecordingArm
from tests.support.waiting import wait_until
from tests.support.watched_arm import NO_KINEMATICS, moved, pose_command, watched

_DOWN = {
    "stop": lambda arm: arm.stop(),
    "fault": lambda arm: arm.inner._latch(arm.machine.fault_of(("torn",))),
}
_WAYS = {
    "joint": lambda body, count: setattr(
        body, "joints_rad", body.spec.reset_joint_positions_rad + np.eye(len(body.joints_rad))[3] * 0.021 * count
    ),
    "tool": lambda body, count: setattr(body, "_measure", moved(body, 0.0051 * count)),
}


def _told(arm) -> int:
    """How often the device was told to halt, once nobody is about to tell it."""
    wait_until(lambda: not arm.inner._halts._has_thread)
    return arm.inner.calls.count("halt")


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("by", _DOWN)
def test_a2_an_arm_that_was_halted_and_moves_is_said_to_move_and_told_again(by, way):
    assert (standstill_module._BRAKING_S, standstill_module._MOVED_M, standstill_module._MOVED_RAD) == (
        0.5,
        0.005,
        0.02,
    ), "as docs/safety.md says"
    arm, body, clock = watched(NO_KINEMATICS)
    arm.send(pose_command())
    _DOWN[by](arm)
    for count in range(1, 9):  # it brakes
        _WAYS[way](body, count)
        assert not arm.get_state().moves_on
        clock.advance(0.05)
    for _ in range(3):
        clock.advance(0.1)
        assert not arm.get_state().moves_on
    told = _told(arm)
    _WAYS[way](body, 9)
    clock.advance(0.01)
    assert arm.get_state().moves_on
    assert arm.inner.newest_state().moves_on, "also where nothing is measured for it"
    assert not arm.get_state().is_halt_owed, "the device has taken it"
    assert _told(arm) == told + 1
    clock.advance(0.49)
    assert arm.get_state().moves_on
    clock.advance(0.02)
    assert not arm.get_state().moves_on, "it stands"
    arm.recover()
    assert arm.get_state().mode == "holding"
    assert _told(arm) == told + 1


@pytest.mark.parametrize("by", _DOWN)
def test_an_arm_that_a_person_guides_after_its_halt_is_told_three_times_and_once_a_second_at_most(by):
    arm, body, clock = watched(NO_KINEMATICS)
    arm.send(pose_command())
    _DOWN[by](arm)
    first, told, told_s = _told(arm), [], []
    for count in range(600):
        _WAYS["joint"](body, count)
        moves_on = arm.get_state().moves_on
        told.append(_told(arm) - first)
        if len(told_s) < told[-1]:
            told_s.append(clock.now_s())
        assert moves_on is bool(told_s), "it is told when that is noticed"
        clock.advance(0.01)
    assert max(told) == told[-1] == 3
    assert np.diff(told_s).min() >= 1.0 - 1e-6
    assert np.diff(told_s).max() <= 1.02
    assert not arm.get_state().is_halt_owed


def test_stops_that_come_again_and_again_give_an_arm_that_moves_on_no_time_anew():
    arm, body, clock = watched(NO_KINEMATICS)
    arm.send(pose_command())
    for count in range(400):
        _WAYS["joint"](body, count)
        if count % 10 == 0:
            arm.stop()
        moves_on = arm.get_state().moves_on
        assert moves_on or count < 60, "from 0.6 s on, always"
        assert not (moves_on and count <= 50), "it may brake"
        clock.advance(0.01)


def test_a_stop_of_one_that_moves_on_may_be_told_three_times_again():
    arm, body, clock = watched(NO_KINEMATICS)
    arm.send(pose_command())
    arm.stop()
    for count in range(600):
        _WAYS["joint"](body, count)
        arm.get_state()
        if count == 550:
            told = _told(arm)
            arm.stop()
        clock.advance(0.01)
    assert _told(arm) == told + 2, "by the stop, and because it moves"


def _keep(arm):
    keep_from_control(arm, "robotkit state")


def _stop_and_connect_again(arm):
    arm.connect()
    arm.send(pose_command())
    arm.stop()
    arm.get_state()
    arm.disconnect()


@pytest.mark.parametrize("before", [_keep, _stop_and_connect_again])
@pytest.mark.parametrize("is_plain", [False, True])
@pytest.mark.parametrize("is_stopped_again", [False, True])
def test_an_arm_that_is_connected_stopped_and_then_moves_is_told_nothing(before, is_plain, is_stopped_again):
    inner = PlainArm() if is_plain else RecordingArm(**NO_KINEMATICS)
    body = inner.body if is_plain else inner
    inner.spec = inner.spec.model_copy(update=NO_KINEMATICS)
    arm = make_safe(AdaptedRobot(inner) if is_plain else inner, SafetyLimits(), body.clock)
    before(arm)
    arm.connect()
    inner.calls.clear()
    if is_stopped_again:
        arm.stop()
    told = list(inner.calls)
    for count in range(300):
        body.joints_rad = body.joints_rad + 0.021 * (1 if count % 40 < 20 else -1)
        state = arm.get_state()
        assert (state.mode, state.moves_on, state.is_halt_owed) == ("stopped", False, False)
        body.clock.advance(0.01)
    wait_until(lambda: not arm.inner._halts._has_thread)
    assert inner.calls == told
    arm.recover()
    arm.stop()
    inner.calls.clear()
    for count in range(100):
        body.joints_rad = body.joints_rad + 0.021 * (1 if count % 40 < 20 else -1)
        state = arm.get_state()
        body.clock.advance(0.01)
    assert state.moves_on, "robotkit may have moved it since"


def test_an_arm_that_tells_a_fault_by_itself_while_it_holds_and_is_moved_is_told_nothing_further():
    arm, body, clock = watched(NO_KINEMATICS)
    arm.send(pose_command())
    arm.hold()
    body.fault = body.machine.fault_of(("guiding",))
    arm.get_state()
    first = _told(arm)
    for count in range(300):
        _WAYS["joint"](body, count)
        assert not arm.get_state().moves_on
        clock.advance(0.01)
    assert _told(arm) == first
    arm.stop()
    for count in range(100):
        _WAYS["joint"](body, count)
        arm.get_state()
        clock.advance(0.01)
    assert arm.get_state().moves_on, "a stop of ours counts beside it"


@pytest.mark.parametrize("activity", ["tracking", "travelling"])
@pytest.mark.parametrize("is_plain", [False, True])
def test_a2_one_that_robotkit_moves_is_said_to_move_on_and_told_again_also_when_it_tells_the_fault(is_plain, activity):
    inner = PlainArm() if is_plain else RecordingArm(**NO_KINEMATICS)
    body = inner.body if is_plain else inner
    inner.spec = inner.spec.model_copy(update=NO_KINEMATICS)
    arm = make_safe(AdaptedRobot(inner) if is_plain else inner, SafetyLimits(), body.clock)
    arm.connect()
    if activity == "tracking":
        arm.send(pose_command())
    else:
        arm.machine.begin_travel()
    if is_plain:
        inner.mode = "fault"
    body.fault = body.machine.fault_of(("joint_3_temperature",))
    assert arm.get_state().mode == "fault"
    wait_until(lambda: not arm.inner._halts._has_thread)
    first = inner.calls.count("stop" if is_plain else "halt")
    for count in range(100):
        _WAYS["joint"](body, count)
        moves_on = arm.get_state().moves_on
        body.clock.advance(0.01)
    assert moves_on
    wait_until(lambda: not arm.inner._halts._has_thread)
    assert inner.calls.count("stop" if is_plain else "halt") == first + 1


@pytest.mark.parametrize(("error", "counts"), [(DeviceFault("not released"), False), (OSError("no answer"), True)])
def test_a_recovery_that_the_device_refuses_is_no_motion(monkeypatch, error, counts):
    inner = PlainArm()
    inner.spec = inner.spec.model_copy(update=NO_KINEMATICS)
    arm = make_safe(AdaptedRobot(inner), SafetyLimits(), inner.context.clock)
    _keep(arm)
    arm.connect()

    def recover():
        raise error

    monkeypatch.setattr(inner, "recover", recover)
    with pytest.raises(type(error)):
        arm.recover()
    assert arm.machine.has_to_stand is counts, "one whose answer was lost may have been carried out"
    monkeypatch.undo()
    arm.recover()
    arm.stop()
    monkeypatch.setattr(inner, "recover", recover)
    with pytest.raises(type(error)):
        arm.recover()
    assert arm.machine.has_to_stand, "the recovery before has given it a target"


def test_the_disconnection_of_an_arm_that_moves_on_is_logged(caplog):
    for step_count in (0, 1):
        arm, body, clock = watched(NO_KINEMATICS)
        arm.send(pose_command())
        arm.stop()
        for count in range(100):
            _WAYS["joint"](body, count * step_count)
            arm.get_state()
            clock.advance(0.01)
        arm.disconnect()
        wait_until(lambda told=bool(step_count): ("is disconnected while it is seen moving" in caplog.text) is told)


def test_an_arm_that_was_recovered_or_connected_again_is_not_said_to_move():
    arm, body, clock = watched(NO_KINEMATICS)
    for end in (lambda: arm.inner.recover(), lambda: (arm.disconnect(), arm.connect())):
        arm.send(pose_command())
        arm.stop()
        for count in range(100):
            _WAYS["joint"](body, count)
            moves_on = arm.get_state().moves_on
            clock.advance(0.01)
        assert moves_on
        end()
        newest = arm.inner.newest_state()
        assert newest is None or not newest.moves_on
        _WAYS["joint"](body, 200)
        arm.set_compliance(ComplianceParams())
        assert not arm.get_state().moves_on, "it was put there"


def test_a_reset_of_the_world_gives_a_stopped_arm_its_time_anew():
    arm, body, clock = watched(NO_KINEMATICS)
    arm.send(pose_command())
    arm.stop()
    for _ in range(80):
        arm.get_state()
        clock.advance(0.01)
    _WAYS["joint"](body, 5)
    arm.forget_target()
    for _ in range(100):
        assert not arm.get_state().moves_on
        clock.advance(0.01)


def test_a2_a_plain_arm_that_says_stopped_and_moves_is_told_again():
    inner = PlainArm()
    arm = make_safe(AdaptedRobot(inner), SafetyLimits(), inner.context.clock)
    arm.connect()
    arm.stop()
    inner.mode = "stopped"
    for _ in range(3):
        arm.get_state()
        inner.body.clock.advance(0.3)
    inner.body.joints_rad = inner.body.joints_rad + 0.03
    assert arm.get_state().moves_on
    wait_until(lambda: not arm.inner._halts._has_thread)
    assert inner.calls.count("stop") == 2
    arm.disconnect()


def test_a_signal_handler_may_measure_between_any_two_lines_of_a_look():
    standstill = Standstill(lambda: None)
    monitor = Monitor(RecordingArm().spec, SafetyLimits(max_force_n=1.0))

    def handle() -> None:
        with standstill._lock, monitor._lock:
            assert not standstill.is_left_by(_state(0.0), has_to_stand=True)
            assert monitor.check(_state(0.0), monitor.rearms, watches_links=True) is None

    assert InThread(handle).join() is None


def _state(stamp_s: float, turn_rad: float = 0.0, recoveries: int = 0) -> RobotState:
    measured = RecordingArm()._measure()._asdict()
    measured.update(stamp_s=stamp_s, joint_positions_rad=measured["joint_positions_rad"] + turn_rad)
    return RobotState.unchecked(**measured, mode="stopped", stops=1, recoveries=recoveries)


@pytest.mark.parametrize(
    "states",
    [
        [_state(0.1 * i, 0.0199 * (i % 2)) for i in range(30)],
        [_state(0.1 * i, 0.5 * (i < 5)) for i in range(30)],
        [_state(0.1 * i, 0.3 * i, recoveries=i) for i in range(30)],
        [_state(0.0, 0.3 * i) for i in range(30)],
        [_state(1.0 - 0.01 * i, 0.3 * i) for i in range(30)],
        [_state(0.01 * i - 0.3 * (i % 2), 0.3 * (i % 2)) for i in range(200)],
        [_state(min(0.1 * i, 2.0), 0.3 * (i > 20)) for i in range(30)],
        [_state(0.1 * i, np.nan) for i in range(30)],
    ],
    ids=["noise", "brakes", "recovered", "one measurement", "out of order", "overtaken", "frozen", "no number"],
)
def test_an_arm_that_stands_or_may_move_is_not_said_to_move(states):
    standstill = Standstill(lambda: pytest.fail("it is told to halt"))
    assert not any(standstill.is_left_by(state, has_to_stand=True) for state in states)


def _looks(states, tell_again=lambda: None) -> list[bool]:
    standstill = Standstill(tell_again)
    return [standstill.is_left_by(state, has_to_stand=True) for state in states]


def test_it_moves_from_the_first_place_after_half_a_second_on_and_stands_when_it_has_not_moved_for_longer():
    """The times are sums of powers of two: the bounds themselves are looked at."""
    assert _looks([_state(0.0), _state(0.5), _state(0.75, 0.5), _state(1.0, 0.5)]) == [False] * 4
    assert _looks([_state(0.0), _state(0.625), _state(0.75, 0.5), _state(1.25, 0.5), _state(1.375, 0.5)]) == [
        False, False, True, True, False,
    ]  # fmt: skip


def test_halts_are_told_again_after_a_second_and_not_sooner():
    for apart_s, count in ((1.0, 3), (0.9375, 2)):
        told = []
        _looks(
            [_state(0.0), *(_state(0.75 + apart_s * i, 0.5 * i) for i in range(4))], lambda told=told: told.append(1)
        )
        assert len(told) == count


def test_who_measures_while_a_halt_is_told_again_does_not_tell_it_too():
    told = []

    def tell_again() -> None:
        told.append(1)
        assert len(told) < 10
        assert standstill.is_left_by(_state(0.8, 1.0), has_to_stand=True)

    standstill = Standstill(tell_again)
    for state in (_state(0.0), _state(0.6), _state(0.7, 0.5)):
        standstill.is_left_by(state, has_to_stand=True)
    assert len(told) == 1


def test_a_signal_handler_that_measures_takes_no_time_to_brake_from_a_new_beginning():
    for line in itertools.count(1):
        standstill = Standstill(lambda: pytest.fail("it is told to halt"))
        for state in (_state(0.0), _state(0.6)):
            standstill.is_left_by(state, has_to_stand=True)
        handler = Interruption(
            line,
            lambda standstill=standstill: standstill.is_left_by(_state(0.7), has_to_stand=True),
            (standstill_module.__file__,),
        )
        assert interrupted(standstill.begin_anew, handler) is None
        if not handler.has_come:
            break
        for state in (_state(0.8, 1.5), _state(0.9, 2.0), _state(1.0, 2.5)):
            assert not standstill.is_left_by(state, has_to_stand=True), line
    assert line > 5
