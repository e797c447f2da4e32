"""Laws of what a device tells while it is recovered, connected or moved: no success is told over a fault."""

from __future__ import annotations

from dataclasses import replace

import pytest

import robotkit as rk
from robotkit.devices import AdaptedRobot, CellContext
from robotkit.drivers.fake import FakeRobot, ManualClock
from tests.faults.arms import NaiveRobot, put_under
from tests.faults.scheduler import every_schedule
from tests.support.recording_arm import PlainArm, RecordingArm, connected_arm, fail_with
from tests.support.safe_arm import FreeClock


def test_a_recovery_that_clears_nothing_raises_and_control_does_not_begin():
    arm = connected_arm()
    arm.fault = torn = arm.machine.fault_of(("torn",))
    assert arm.get_state().mode == "fault"
    arm.calls.clear()
    arm._clear_faults = lambda: None
    with pytest.raises(rk.DeviceFault, match="torn"):
        arm.recover()
    assert "start" not in arm.calls
    assert (arm.machine.mode, arm.machine.fault.names) == ("fault", torn.names)


def test_a_plain_arm_that_is_in_its_fault_after_its_recovery_is_not_recovered():
    inner = NaiveRobot()
    arm = AdaptedRobot(inner)
    arm.connect()
    inner.faults = ("torn",)
    assert arm.get_state().mode == "fault"
    inner.recover = lambda: None
    with pytest.raises(rk.DeviceFault, match="torn"):
        arm.recover()
    assert arm.machine.mode == "fault"


def test_a_plain_arm_may_tell_its_fault_for_a_moment_after_its_recovery():
    """Its newest state may be one of before; on a clock that runs."""
    plain, looks = PlainArm(), [True] * 3
    plain.context = replace(plain.context, clock=FreeClock())
    plain.recover = lambda: looks.pop()
    get_state = plain.get_state

    def get_old_state() -> rk.RobotState:
        plain.mode = "fault" if looks else "holding"
        if 0 < len(looks) < 3:  # the recovery has begun
            looks.pop()
        return get_state()

    arm = AdaptedRobot(plain)
    arm.connect()
    plain.get_state = get_old_state
    assert arm.get_state().mode == "fault"
    arm.recover()
    assert arm.get_state().mode == "holding"


@pytest.mark.parametrize("ill", [1, 2])
def test_a_plain_arm_whose_first_readings_after_its_recovery_fail_is_not_left_ready_to_move(ill):
    """Either it is recovered, or it was told to stop last."""
    plain = PlainArm()
    arm, left = AdaptedRobot(plain), [0]
    arm.connect()
    arm.stop()
    get_state, recover = plain.get_state, plain.recover

    def recover_and_be_ill() -> None:
        recover()
        left[0] = ill

    def get_ill_state() -> rk.RobotState:
        if left[0]:
            left[0] -= 1
            raise rk.DeviceFault("a lost packet")
        return get_state()

    plain.recover, plain.get_state = recover_and_be_ill, get_ill_state
    if ill == 1:
        arm.recover()
        assert arm.machine.mode == "holding"
    else:
        with pytest.raises(rk.DeviceFault, match="a lost packet"):
            arm.recover()
        assert arm.machine.stop is not None
        assert plain.calls[-1] == "stop"


@pytest.mark.parametrize("latched", ["stop", "fault"])
def test_a_fault_that_comes_while_control_begins_again_fails_the_recovery(latched):
    arm = connected_arm()
    if latched == "stop":
        arm.stop()
    else:
        arm.fault = arm.machine.fault_of(("torn",))
        assert arm.get_state().mode == "fault"
    arm.on["start"] = lambda: setattr(arm, "fault", arm.machine.fault_of(("torn again",)))
    with pytest.raises(rk.DeviceFault, match="torn again"):
        arm.recover()
    assert arm.calls[-1] == "halt"
    assert arm.get_state().mode == "fault"
    assert (arm.machine.stop is not None) == (latched == "stop")
    arm.on.clear()
    arm.recover()
    assert arm.get_state().mode == "holding"


def test_a_fault_that_was_told_after_the_clearing_is_not_taken_back_by_the_recovery():
    """Also one that the device does not tell twice: it was read in a state."""
    arm = connected_arm()
    arm.stop()
    arm.on["start"] = lambda: arm._latch(arm.machine.fault_of(("passing",)))
    with pytest.raises(rk.DeviceFault, match="passing"):
        arm.recover()
    assert arm.get_state().faults == ("passing",)


def test_a_joint_motion_that_a_fault_ended_does_not_return_as_if_it_had_arrived():
    robot = FakeRobot(FakeRobot.Config(fault_after_s=1.0), CellContext(clock=ManualClock()))
    with robot:
        goal_rad = robot.spec.reset_joint_positions_rad.copy()
        goal_rad[5] += 3.0
        with pytest.raises(rk.DeviceFault, match="fault_after_s"):
            robot.move_to_joint_positions(goal_rad)
        assert robot.get_state().mode == "fault"


@pytest.mark.parametrize("ended", ["stop", "hold"])
def test_a_joint_motion_that_somebody_ended_does_not_return_as_if_it_had_arrived(ended):
    """Nor where the body does not look."""
    arm = connected_arm()
    arm._travel = lambda goal_rad, travel: getattr(arm, ended)()
    with pytest.raises(rk.MotionFailed, match="interrupted before it arrived"):
        arm.move_to_joint_positions(arm.joints_rad)
    assert arm.machine.mode == ("stopped" if ended == "stop" else "holding")


def test_no_measurement_of_the_last_connection_is_told_in_the_next_one():
    count = 0
    for scheduler in every_schedule():
        arm = RecordingArm()
        arm.connect()

        def connect_again(arm: RecordingArm = arm) -> None:
            arm.disconnect()
            arm.fault, arm.on["measure"] = arm.machine.fault_of(("torn",)), fail_with(rk.ConnectionFailed("no packet"))
            arm.connect()

        put_under(arm, scheduler)
        measure = arm._measure

        def measure_before_a_point(measure=measure, scheduler=scheduler) -> object:
            measured = measure()
            scheduler.point()
            return measured

        arm._measure = measure_before_a_point
        errors = scheduler.run(("again", connect_again), ("look", arm.get_state))
        assert errors["again"] is None
        assert arm.newest_state() is None
        with pytest.raises(rk.ConnectionFailed):
            arm.get_state()
        count += 1
    assert count > 1
