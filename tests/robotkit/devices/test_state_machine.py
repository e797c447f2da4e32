"""Laws of the state machine on bodies whose device hangs, raises, or has no latch of its own."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import robotkit as rk
from robotkit.devices import AdaptedRobot, CellContext
from robotkit.devices.machine import STOP_WAIT_S
from robotkit.drivers.fake import FakeRobot, ManualClock
from robotkit.safety import make_safe
from tests.faults.arms import NaiveRobot
from tests.support.recording_arm import Broken, InThread, RecordingArm, fail_with, joint_command
from tests.support.waiting import wait_until


class Hanging(FakeRobot):
    """A fake arm of which one call waits until it is let go."""

    def __init__(self, which: str) -> None:
        super().__init__(FakeRobot.Config(), CellContext(clock=ManualClock()))
        self.calls: list[str] = []
        self.entered, self.let_go = threading.Event(), threading.Event()
        self.connect()
        for name in ("_follow", "_hold", "_halt", "_start", "_set_compliance"):
            setattr(self, name, self._recorded(name, getattr(self, name), hangs=name == which))

    def _recorded(self, name, call, *, hangs):
        def recorded(*args):
            if hangs and not self.let_go.is_set():
                self.entered.set()
                assert self.let_go.wait(20.0)
            self.calls.append(name)
            return call(*args)

        return recorded


def command(arm):
    return rk.JointCommand(joint_positions_rad=arm.spec.reset_joint_positions_rad)


@pytest.mark.parametrize(("which", "call"), [
    ("_follow", lambda arm: arm.send(command(arm))),
    ("_hold", lambda arm: arm.hold()),
    ("_set_compliance", lambda arm: arm.set_compliance(rk.ComplianceParams())),
])  # fmt: skip
def test_a_stop_does_not_wait_for_a_device_that_hangs(which, call):
    arm = Hanging(which)
    caller = threading.Thread(target=call, args=(arm,))
    caller.start()
    assert arm.entered.wait(10.0)
    start_s = time.monotonic()
    arm.stop_for("it hangs", "the test")
    assert time.monotonic() - start_s < STOP_WAIT_S + 5.0, "it does not wait for the device"
    assert arm.calls == ["_halt"]
    assert arm.get_state().mode == "stopped"
    arm.let_go.set()
    caller.join(10.0)
    if which != "_set_compliance":
        assert arm.calls[-1] == "_halt", "what the device did late is undone"
    with pytest.raises(rk.RobotStopped):
        arm.send(command(arm))


def test_m5_a_stop_that_the_device_refuses_is_latched_all_the_same(monkeypatch):
    arm = FakeRobot(FakeRobot.Config(), CellContext(clock=ManualClock()))
    arm.connect()
    safe = make_safe(arm, rk.SafetyLimits(), arm.context.clock)

    def fail():
        raise rk.DeviceFault("the brake does not answer")

    monkeypatch.setattr(arm, "_halt", fail)
    with pytest.raises(rk.DeviceFault, match="brake"):
        safe.stop()
    with pytest.raises(rk.RobotStopped):
        safe.send(command(arm))
    assert safe.get_state().mode == "stopped"


def naive(**changes):
    inner = NaiveRobot()
    for name, value in changes.items():
        setattr(inner, name, value)
    arm = AdaptedRobot(inner)
    arm.connect()
    return arm, inner


def test_m4_a_failed_recovery_leaves_an_arm_without_a_latch_stopped():
    arm, inner = naive()

    def fail():
        raise rk.DeviceFault("the fault persists")

    arm.stop()
    inner.recover = fail
    with pytest.raises(rk.DeviceFault, match="persists"):
        arm.recover()
    with pytest.raises(rk.RobotStopped):
        arm.send(command(arm))
    assert "send" not in inner.moves


def test_m7_no_hold_reaches_an_arm_that_is_stopped():
    arm, inner = naive()
    arm.stop()
    arm.hold()
    assert inner.moves == ["stop"]


def test_m6_a_command_that_the_device_is_taking_is_followed_by_the_stop():
    arm, inner = naive()
    entered, let_go = threading.Event(), threading.Event()
    send = inner.send

    def slow(sent):
        entered.set()
        assert let_go.wait(20.0)
        return send(sent)

    inner.send = slow
    sender = threading.Thread(target=arm.send, args=(command(arm),))
    sender.start()
    assert entered.wait(10.0)
    stopper = threading.Thread(target=arm.stop)
    stopper.start()
    stopper.join(10.0)
    assert not stopper.is_alive()
    let_go.set()
    sender.join(10.0)
    assert inner.moves[-1] == "stop"
    assert arm.machine.mode == "stopped"


def test_a_joint_motion_of_an_arm_without_a_latch_is_stopped_until_it_returns():
    arm, inner = naive()
    entered = threading.Event()

    def motion(goal):
        entered.set()
        while not inner.is_stopped_in_motion or inner.moves.count("stop") < 3:
            time.sleep(0.001)
        raise rk.MotionFailed("stopped on the way")

    inner.move_to_joint_positions = motion
    raised = []

    def move():
        try:
            arm.move_to_joint_positions(arm.spec.reset_joint_positions_rad)
        except rk.MotionFailed as error:
            raised.append(error)

    mover = threading.Thread(target=move)
    mover.start()
    assert entered.wait(10.0)
    arm.stop()
    mover.join(20.0)
    assert len(raised) == 1
    count = inner.moves.count("stop")
    arm.recover()
    time.sleep(3 * 0.02)
    assert inner.moves.count("stop") == count, "no stop from before the recovery comes after it"
    assert arm.get_state().mode == "holding"


def test_a_fault_of_the_device_ends_a_joint_motion_and_is_told():
    arm = FakeRobot(FakeRobot.Config(), CellContext(clock=ManualClock()))
    arm.connect()
    goal = arm.spec.reset_joint_positions_rad.copy()
    goal[0] += 0.5
    advance = arm.context.clock.advance

    def fail_halfway(period_s):
        advance(period_s)
        if arm.context.clock.now_s() > 0.2:
            arm.inject_fault("torn")

    arm.context.clock.advance = fail_halfway
    with pytest.raises(rk.MotionFailed, match="torn"):
        arm.move_to_joint_positions(goal)
    state = arm.get_state()
    assert (state.mode, state.faults) == ("fault", ("torn",))
    assert state.fault_since_s == pytest.approx(0.2, abs=0.011)
    assert state.joint_positions_rad[0] < goal[0] - 0.1


def test_the_first_fault_stays_and_a_stop_is_kept_beside_it():
    arm = FakeRobot(FakeRobot.Config(), CellContext(clock=ManualClock()))
    arm.connect()
    arm.stop_for("a reason", "somebody")
    arm.inject_fault("first")
    arm.inject_fault("second")
    state = arm.get_state()
    assert (state.mode, state.faults, state.stop.cause) == ("fault", ("first",), "a reason")
    arm.recover()
    state = arm.get_state()
    assert (state.mode, state.faults, state.stop, state.fault_since_s) == ("holding", (), None, None)


def test_a_measurement_that_fails_is_a_fault_with_the_last_state(monkeypatch):
    arm = FakeRobot(FakeRobot.Config(), CellContext(clock=ManualClock()))
    arm.connect()
    before = arm.get_state()
    arm.context.clock.advance(1.0)

    def fail():
        raise rk.ConnectionFailed("the cable is out")

    monkeypatch.setattr(arm, "_measure", fail)
    for _ in range(2):
        state = arm.get_state()
        assert (state.mode, state.faults, state.stamp_s) == ("fault", ("connection_failed",), before.stamp_s)
    with pytest.raises(rk.ConnectionFailed, match="cable"):
        arm.send(command(arm))
    monkeypatch.undo()
    arm.recover()
    assert arm.get_state().mode == "holding"


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_sensor_that_measures_no_number_is_a_fault_and_the_arm_is_brought_to_rest(broken):
    cell = rk.make_workcell("fake", **{"robot.time_constant_s": 1.0})
    with cell:
        pose = cell.robot.get_state().tcp_pose_in_base.copy()
        pose[0] += 0.1
        cell.robot.send(rk.PoseCommand(tcp_pose_in_base=pose))
        cell.clock.advance(0.1)
        body = cell.robot.inner
        body.inject_wrench(np.array([0, 0, broken, 0, 0, 0]))
        state = cell.get_state()
        assert (state.robot.mode, state.robot.faults) == ("fault", ("device_fault",))
        assert rk.CellState.model_validate_json(state.model_dump_json()) == state, "readable over a network too"
        with pytest.raises(rk.DeviceFault, match="wrench_in_tcp"):
            cell.robot.send(rk.PoseCommand(tcp_pose_in_base=pose))
        body.inject_wrench(np.zeros(6))
        cell.robot.recover()
        before = cell.robot.get_state().joint_positions_rad
        cell.clock.advance(1.0)
        np.testing.assert_allclose(cell.robot.get_state().joint_positions_rad, before, atol=1e-9)
        assert before[0] < 0.52, "it did not go on to its target while it was in the fault"


def test_a_connection_that_fails_leaves_the_arm_disconnected(monkeypatch):
    arm = FakeRobot(FakeRobot.Config(), CellContext(clock=ManualClock()))

    def fail():
        raise rk.DeviceFault("the controller does not start")

    monkeypatch.setattr(arm, "_start", fail)
    with pytest.raises(rk.DeviceFault):
        arm.connect()
    assert not arm.is_connected
    monkeypatch.undo()
    arm.connect()
    assert arm.get_state().mode == "holding"


def test_m8_the_opposite_quaternion_is_the_same_target():
    cell = rk.make_workcell("fake", **{"limits.max_tcp_rotation_speed_rad_s": 0.1, "limits.speed_window_s": 0.1})
    with cell:
        pose = cell.robot.get_state().tcp_pose_in_base.copy()
        pose[3:] *= -1.0
        cell.robot.send(rk.PoseCommand(tcp_pose_in_base=pose))
        pose[3:] *= -1.0
        cell.robot.send(rk.PoseCommand(tcp_pose_in_base=pose))
        cell.clock.advance(1.0)
        np.testing.assert_allclose(cell.robot.get_state().tcp_pose_in_base[:3], pose[:3], atol=1e-6)


def test_a_joint_motion_in_real_time_is_told_as_travelling():
    with rk.make_workcell("fake", clock="real") as cell:
        goal = cell.robot.get_state().joint_positions_rad.copy()
        goal[0] += 0.2
        mover = threading.Thread(target=cell.robot.move_to_joint_positions, args=(goal,))
        mover.start()
        wait_until(lambda: cell.robot.get_state().mode == "travelling" or not mover.is_alive())
        mover.join(10.0)
        assert cell.robot.get_state().mode == "holding"


@pytest.mark.parametrize("error", [rk.RemoteTimeout("no answer"), Broken("a fault of the driver"), KeyboardInterrupt()])
def test_a_target_whose_answer_is_lost_is_one_that_the_arm_may_follow_and_a_refused_one_is_none(error):
    arm = RecordingArm()
    arm.connect()
    arm.on["follow"] = fail_with(rk.InvalidCommand("the arm's own reason"))
    with pytest.raises(rk.InvalidCommand):
        arm.send(joint_command(arm))
    assert (arm.machine.mode, arm.machine.targets) == ("holding", 0)
    arm.on["follow"] = fail_with(error)
    with pytest.raises(type(error)):
        arm.send(joint_command(arm))
    assert (arm.machine.mode, arm.machine.targets) == ("tracking", 1)


@pytest.mark.parametrize("call", ["reset", "hold", "forget_target"])
def test_nobody_comes_between_a_new_epoch_and_the_hold_in_it(call):
    arm, is_free = RecordingArm(), []
    arm.connect()
    arm.on["hold"] = lambda: InThread(lambda: is_free.append(arm.machine.lock.acquire(blocking=False))).join()
    getattr(arm, call)()
    assert is_free == [False]


@pytest.mark.parametrize("error", [rk.StaleState("no packets"), rk.RemoteTimeout("no answer"), Broken("of the driver")])
def test_what_the_first_measurement_raises_is_raised_as_it_is_or_as_a_fault_of_the_device_because_of_it(error):
    arm = RecordingArm()
    arm.on["measure"] = fail_with(error)
    with pytest.raises(rk.DeviceFault if isinstance(error, Broken) else type(error)) as raised:
        arm.connect()
    assert (raised.value.__cause__ if isinstance(error, Broken) else raised.value) is error
    assert error.__cause__ is None
    assert not arm.is_connected


def test_a_stop_that_overtook_the_hold_after_a_joint_motion_is_told_once_more(monkeypatch):
    monkeypatch.setattr("robotkit.devices.machine.STOP_WAIT_S", 0.0)
    arm = RecordingArm()
    arm.connect()
    arm.on["hold"] = lambda: InThread(arm.stop).join()
    arm.move_to_joint_positions(arm.joints_rad)
    assert arm.calls[2:] == ["travel", "hold", "halt", "halt"]
    assert arm.machine.mode == "stopped"


def test_a_stop_that_a_recovery_has_seen_and_cleared_halts_the_arm_no_more():
    arm, seen = RecordingArm(), []
    arm.connect()

    def recover_meanwhile(record):
        seen.append(arm.machine.stop is record)
        InThread(arm.recover).join()

    arm.stop_observers.append(recover_meanwhile)
    arm.stop()
    assert seen == [True]
    assert arm.calls[2:] == ["clear", "start"]
    assert arm.machine.mode == "holding"


def test_nobody_comes_between_the_question_whether_a_joint_motion_may_begin_and_its_begin(monkeypatch):
    arm, is_free = RecordingArm(), []
    arm.connect()
    require = arm.machine.require_ready

    def look_and_require():
        InThread(lambda: is_free.append(arm.machine.lock.acquire(blocking=False))).join()
        require()

    monkeypatch.setattr(arm.machine, "require_ready", look_and_require)
    arm.begin_joint_motion(arm.joints_rad, 1.0)
    assert is_free == [False]
