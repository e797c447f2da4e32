"""Laws of the safety layer, on the fake arm with injected time, wrench and silence."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import robotkit as rk
from robotkit.devices import CellContext
from robotkit.drivers.fake import FakeRobot, ManualClock
from robotkit.safety import SafetyWrapper, Watchdog, make_safe
from robotkit.workspace import is_inside


class Recorder(FakeRobot):
    """A fake arm that remembers what reached it."""

    def __init__(self, *args):
        super().__init__(*args)
        self.sent: list[rk.PoseCommand] = []
        self.holds = 0

    def send(self, command):
        accepted = super().send(command)
        self.sent.append(command)
        return accepted

    def hold(self):
        super().hold()
        self.holds += 1


class FreeClock(ManualClock):
    """Advanced by hand, but it claims to run by itself."""

    @property
    def is_lockstep(self):
        return False


def safe_arm(limits, clock=None):
    clock = clock or ManualClock()
    body = Recorder(FakeRobot.Config(), CellContext(clock=clock))
    arm = make_safe(body, limits, clock)
    arm.connect()
    return arm, body, clock


def shifted(arm, dx=0.0, turn=0.0):
    from robotkit.spatial import integrate_delta

    pose = arm.get_state().tcp_pose_in_base
    return rk.PoseCommand(tcp_pose_in_base=integrate_delta(pose, np.array([dx, 0, 0]), np.array([0, 0, turn])))


def layers(arm):
    names = []
    while isinstance(arm, SafetyWrapper):
        names.append(type(arm).__name__)
        arm = arm.inner
    return names


def wait_until(condition, deadline_s=5.0):
    end_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end_s, "it never happened"
        time.sleep(0.002)


def test_only_what_the_limits_ask_for_is_there():
    arm, _, _ = safe_arm(rk.SafetyLimits())
    assert layers(arm) == ["LatchedStop", "CommandForm", "JointRange"]
    arm, _, _ = safe_arm(rk.SafetyLimits(max_translation_step_m=0.1, max_force_n=1.0, watchdog_s=1.0))
    assert layers(arm) == ["ForceLimit", "LatchedStop", "CommandForm", "JointRange", "StepLimit"]
    arm, _, _ = safe_arm(rk.SafetyLimits(watchdog_s=1.0), FreeClock())
    assert layers(arm)[0] == "Watchdog"
    arm.disconnect()


@pytest.mark.parametrize(("limit", "good", "bad"), [
    ({"max_translation_step_m": 0.05}, {"dx": 0.05}, {"dx": 0.0501}),
    ({"max_rotation_step_rad": 0.2}, {"turn": 0.2}, {"turn": 0.2001}),
    ({"max_tcp_speed_m_s": 0.2}, {"dx": 0.1}, {"dx": 0.1001}),
])  # fmt: skip
def test_a_step_is_accepted_up_to_its_limit_and_refused_beyond(limit, good, bad):
    arm, body, _ = safe_arm(rk.SafetyLimits(**limit))
    with pytest.raises(rk.StepTooLarge, match="at most"):
        arm.send(shifted(arm, **bad))
    assert body.sent == []
    arm.send(shifted(arm, **good))
    assert len(body.sent) == 1


def test_speed_counts_the_time_between_targets():
    arm, _, clock = safe_arm(rk.SafetyLimits(max_tcp_speed_m_s=0.2))
    first = shifted(arm, 0.1)
    arm.send(first)
    pose = first.tcp_pose_in_base.copy()
    pose[0] += 0.02
    second = rk.PoseCommand(tcp_pose_in_base=pose)
    clock.advance(0.05)
    with pytest.raises(rk.StepTooLarge, match="m/s"):
        arm.send(second)
    clock.advance(0.0501)
    arm.send(second)


def test_an_arm_outside_the_box_may_be_asked_for_nothing_but_to_come_nearer():
    at = np.array((0.45, 0.0, 0.3))
    box = rk.WorkspaceBox(
        position_min_m=at - 0.1,
        position_max_m=at + 0.1,
        reference_quaternion_xyzw=(1.0, 0.0, 0.0, 0.0),
        rotation_vector_min_rad=(-0.2, -0.2, -0.2),
        rotation_vector_max_rad=(0.2, 0.2, 0.2),
    )
    arm, body, clock = safe_arm(rk.SafetyLimits(workspace=box))
    body.move_to_joint_positions(np.array((0.45, 0.0, 0.3, np.pi, 0.0, 0.0, 0.0)))
    with pytest.raises(rk.OutsideWorkspace, match=r"x = 0\.6"):
        arm.send(shifted(arm, 0.15))
    body.move_to_joint_positions(np.array((0.7, 0.0, 0.3, np.pi, 0.0, 0.4, 0.0)))
    for farther in (
        {"dx": 0.0},
        {"dx": 0.01},
        {"turn": 0.01},
        {"dx": -0.05, "turn": 0.05},
        {"dx": 0.05, "turn": -0.05},
    ):
        with pytest.raises(rk.OutsideWorkspace):
            arm.send(shifted(arm, **farther))
    assert body.sent == []
    for _ in range(4):
        arm.send(shifted(arm, -0.05, -0.05))
        clock.advance(2.0)
    assert is_inside(arm.get_state().tcp_pose_in_base, box)


@pytest.mark.parametrize("forget", ["stop", "hold", "reset", "forget_target", "joint"])
def test_after_an_interruption_steps_count_from_the_arm(forget):
    arm, body, _ = safe_arm(rk.SafetyLimits(max_translation_step_m=0.06, max_joint_step_rad=0.5))
    start = shifted(arm)
    for step in (1, 2, 3):
        pose = start.tcp_pose_in_base.copy()
        pose[0] += 0.05 * step
        arm.send(rk.PoseCommand(tcp_pose_in_base=pose))
    with pytest.raises(rk.StepTooLarge):
        arm.send(start)
    if forget == "stop":
        arm.stop()
        arm.recover()
    elif forget == "joint":
        arm.send(rk.JointCommand(joint_positions_rad=arm.get_state().joint_positions_rad))
    else:
        getattr(arm, forget)()
    arm.send(start)
    assert body.sent[-1] is start


def test_a_command_that_nobody_validated_is_checked():
    arm, body, _ = safe_arm(rk.SafetyLimits())
    good = shifted(arm).tcp_pose_in_base
    bad = [np.full(7, np.nan), np.append(good[:6], np.inf), good[:5], np.append(good[:3], [0, 0, 0, 0.5])]
    for pose in bad:
        with pytest.raises(rk.InvalidCommand):
            arm.send(rk.PoseCommand.trusted(kind="pose", tcp_pose_in_base=pose))
    with pytest.raises(rk.InvalidCommand):
        arm.move_to_joint_positions("north")
    assert body.sent == []


def test_a_kind_that_the_arm_does_not_take_is_unsupported():
    clock = ManualClock()
    body = FakeRobot(FakeRobot.Config(), CellContext(clock=clock))
    body.spec = body.spec.model_copy(update={"command_kinds": ("pose",)})
    arm = make_safe(body, rk.SafetyLimits(), clock)
    arm.connect()
    with pytest.raises(rk.Unsupported, match="pose"):
        arm.send(rk.JointCommand(joint_positions_rad=np.zeros(7)))


def test_the_cells_joint_range_narrows_the_arms_and_never_widens_it():
    limits = rk.SafetyLimits(joint_position_max_rad=[0.6, *[100.0] * 6])
    arm, _, _ = safe_arm(limits)
    target = arm.spec.reset_joint_positions_rad.copy()
    target[0] = 0.61
    with pytest.raises(rk.JointLimitExceeded, match="joint 0"):
        arm.send(rk.JointCommand(joint_positions_rad=target))
    target[0], target[6] = 0.5, 7.0
    with pytest.raises(rk.JointLimitExceeded, match="joint 6"):
        arm.move_to_joint_positions(target)
    with pytest.raises(rk.InvalidConfiguration, match="7"):
        safe_arm(rk.SafetyLimits(joint_position_min_rad=[0.0]))


@pytest.mark.parametrize("wrench", [[0, 11, 0, 0, 0, 0], [0, 0, 0, 0, 0, -2.1], [np.nan, 0, 0, 0, 0, 0]])
def test_force_above_the_limit_stops_the_arm_and_is_told_once(wrench):
    arm, body, _ = safe_arm(rk.SafetyLimits(max_force_n=10.0, max_torque_nm=2.0))
    command = shifted(arm)
    body.inject_wrench(np.array([0, 9.9, 0, 1.9, 0, 0]))
    arm.get_state()
    body.inject_wrench(np.array(wrench))
    with pytest.raises(rk.ForceLimitExceeded, match="recover"):
        arm.get_state()
    assert arm.get_state().mode == "stopped"
    with pytest.raises(rk.RobotStopped):
        arm.send(command)
    body.inject_wrench(np.zeros(6))
    arm.recover()
    arm.send(command)
    body.inject_wrench(np.array(wrench))
    with pytest.raises(rk.ForceLimitExceeded):
        arm.get_state()


def test_old_measurements_are_refused():
    arm, body, clock = safe_arm(rk.SafetyLimits(state_max_age_s=0.1))
    body.inject_silence(True)
    clock.advance(0.1)
    arm.get_state()
    clock.advance(0.01)
    with pytest.raises(rk.StaleState):
        arm.get_state()
    body.inject_silence(False)
    arm.get_state()


def test_an_arm_whose_recovery_fails_stays_stopped(monkeypatch):
    arm, body, _ = safe_arm(rk.SafetyLimits())

    def fail():
        raise rk.DeviceFault("the fault persists")

    arm.stop()
    with monkeypatch.context() as patch:
        patch.setattr(body, "recover", fail)
        with pytest.raises(rk.DeviceFault):
            arm.recover()
    with pytest.raises(rk.RobotStopped):
        arm.send(shifted(arm))


def test_nothing_reaches_the_arm_after_stop_returns():
    arm, body, _ = safe_arm(rk.SafetyLimits())
    command, refused = shifted(arm), threading.Event()

    def send_for_ever():
        try:
            while True:
                arm.send(command)
        except rk.RobotStopped:
            refused.set()

    senders = [threading.Thread(target=send_for_ever) for _ in range(3)]
    for sender in senders:
        sender.start()
    wait_until(lambda: len(body.sent) > 50)
    arm.stop()
    count = len(body.sent)
    for sender in senders:
        sender.join(5.0)
    assert refused.is_set()
    assert len(body.sent) == count


def test_the_watchdog_holds_once_and_waits_for_the_next_command():
    clock = FreeClock()
    arm, body, _ = safe_arm(rk.SafetyLimits(watchdog_s=0.2), clock)
    try:
        clock.advance(10.0)
        time.sleep(0.05)
        assert body.holds == 0, "nobody commanded yet"
        arm.send(shifted(arm, 0.1))
        clock.advance(0.1)
        time.sleep(0.05)
        assert body.holds == 0
        clock.advance(0.11)
        wait_until(lambda: body.holds == 1)
        held = arm.get_state().tcp_pose_in_base
        clock.advance(5.0)
        time.sleep(0.05)
        assert body.holds == 1
        np.testing.assert_allclose(arm.get_state().tcp_pose_in_base, held)
        arm.send(shifted(arm, 0.05))
        clock.advance(0.3)
        wait_until(lambda: body.holds == 2)
    finally:
        arm.disconnect()


def test_an_orphaned_arm_holds_in_time_on_the_walls_clock():
    with rk.make_workcell("fake", **{"clock": "real", "limits.watchdog_s": 0.1, "robot.time_constant_s": 1.0}) as cell:
        pose = cell.robot.get_state().tcp_pose_in_base.copy()
        pose[0] += 0.1
        cell.robot.send(rk.PoseCommand(tcp_pose_in_base=pose))
        wait_until(lambda: cell.robot.get_state().mode == "holding")
        assert abs(cell.robot.get_state().tcp_pose_in_base[0] - pose[0]) > 0.02


def test_what_goes_wrong_in_the_watchdog_is_raised_where_somebody_listens(monkeypatch):
    clock = FreeClock()
    arm, body, _ = safe_arm(rk.SafetyLimits(watchdog_s=0.2), clock)
    assert isinstance(arm, Watchdog)

    def fail():
        raise rk.DeviceFault("cannot hold")

    try:
        arm.send(shifted(arm))
        monkeypatch.setattr(body, "hold", fail)
        clock.advance(0.3)
        time.sleep(0.05)
        with pytest.raises(rk.DeviceFault, match="cannot hold"):
            arm.get_state()
    finally:
        arm.disconnect()


def test_the_watchdog_feels_force_without_a_reader():
    arm, body, _ = safe_arm(rk.SafetyLimits(max_force_n=10.0), FreeClock())
    try:
        body.inject_wrench(np.array([0, 0, 20.0, 0, 0, 0]))
        wait_until(lambda: FakeRobot.get_state(body).mode == "stopped")
        with pytest.raises(rk.ForceLimitExceeded):
            arm.get_state()
    finally:
        arm.disconnect()


def test_the_watchdog_thread_ends_with_the_connection():
    others = set(threading.enumerate())  # servers of other tests may live on, with watchdogs of their own
    arm, _, _ = safe_arm(rk.SafetyLimits(watchdog_s=0.2), FreeClock())
    own = set(threading.enumerate()) - others
    assert [thread.name for thread in own] == ["robotkit-watchdog"]
    arm.disconnect()
    arm.disconnect()
    assert not own & set(threading.enumerate())
