"""How the example arm moves and fails: singularities, speeds, stamps of the controller, stops at the pendant."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace

import numpy as np
import pytest

import robotkit as rk
from robotkit import spatial
from robotkit.drivers.fake.world import ManualClock
from tests.robotkit.drivers.plugin_ur5e import PLUGIN
from tests.support.fake_rtde import EMERGENCY_STOP, HOME_RAD, POWER_OFF, PROTECTIVE_STOP, FakeController
from tests.support.waiting import wait_for_error, wait_until

PERIOD_S = 0.05
NEAR_SINGULAR = np.array((2.8, -1.7, 2.0, -1.9, -0.12, -1.9))
"""The wrist's second joint near 0, where the first and the third turn about one axis."""


@pytest.fixture(autouse=True)
def plugin(monkeypatch):
    monkeypatch.syspath_prepend(str(PLUGIN))


@pytest.fixture
def clock():
    return ManualClock()


def arm_on(clock, **options):
    from robotkit_ur5e.robot import Ur5eRobot

    return Ur5eRobot(Ur5eRobot.Config(**options), rk.CellContext(name="ur5e", clock=clock))


@pytest.fixture
def arm(clock):
    with arm_on(clock) as connected:
        yield connected


@pytest.fixture
def controller(monkeypatch):
    return FakeController().install(monkeypatch)


@pytest.fixture
def real_arm(clock, controller):
    with arm_on(clock, host="192.0.2.1") as connected:
        yield connected


def joints_of(arm):
    return arm.get_state().joint_positions_rad


@pytest.mark.parametrize(
    ("axis", "step"),
    [(3, 0.004), (4, -0.004), (0, -0.001), (1, 0.001)],
    ids=["through the singular posture", "a joint turns away", "until the arm is stretched", "past it"],
)
def test_b13_no_joint_jumps_in_393_steps_near_a_singularity(arm, clock, axis, step):
    """A joint turns 1.5 rad/s at most: 0.075 rad in a step, also where the same flange needs other joints."""
    from robotkit_ur5e import kinematics

    arm.move_to_joint_positions(NEAR_SINGULAR)
    pose, twist, passed = arm.get_state().tcp_pose_in_base, step * np.eye(6)[axis], 0
    jumps_rad, singular, before = [], [], joints_of(arm)
    for _ in range(393):
        pose = spatial.integrate_delta(pose, twist[:3], twist[3:])
        with contextlib.suppress(rk.CommandRejected):
            arm.send(rk.PoseCommand(tcp_pose_in_base=pose))
            passed += 1
        clock.advance(PERIOD_S)
        now = joints_of(arm)
        jumps_rad.append(np.abs(now - before).max())
        singular.append(np.linalg.svd(kinematics.jacobian(now))[1].min())
        before = now
    assert max(jumps_rad) <= 1.5 * PERIOD_S + 0.012
    assert min(singular) < 0.05
    assert passed > 300


@pytest.mark.parametrize("seed", range(8))
def test_b13_joint_and_tool_speed_are_bounded_for_any_target(arm, clock, seed):
    rng = np.random.default_rng(seed)
    start = NEAR_SINGULAR + rng.normal(scale=0.1, size=6)
    arm.move_to_joint_positions(start)
    pose = arm.get_state().tcp_pose_in_base
    target = spatial.integrate_delta(pose, rng.uniform(-0.15, 0.15, 3), rng.uniform(-0.5, 0.5, 3))
    try:
        arm.send(rk.PoseCommand(tcp_pose_in_base=target))
    except rk.CommandRejected:
        clock.advance(1.0)
        np.testing.assert_allclose(joints_of(arm), start, atol=0.01)
        return
    away_m = []
    for _ in range(300):
        clock.advance(0.01)
        state = arm.get_state()
        assert np.abs(state.joint_velocities_rad_s).max() <= 1.5 + 1e-6
        away_m.append(spatial.distance_between(state.tcp_pose_in_base, target))
    assert away_m[-1] < 0.004
    assert max(away_m) < away_m[0] + 0.02


def test_targets_far_from_singularities_are_met(arm, clock):
    target = arm.get_state().tcp_pose_in_base.copy()
    target[:3] += (0.05, -0.1, -0.1)
    arm.send(rk.PoseCommand(tcp_pose_in_base=target))
    clock.advance(1.5)
    pose = arm.get_state().tcp_pose_in_base
    assert spatial.distance_between(pose, target) < 1e-4
    assert spatial.angle_between(pose[3:], target[3:]) < 1e-3


def test_a_pose_out_of_reach_is_refused_and_nothing_moves(arm, clock):
    before = joints_of(arm)
    with pytest.raises(rk.CommandRejected, match="does not reach"):
        arm.send(rk.PoseCommand(tcp_pose_in_base=[2.0, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0]))
    clock.advance(1.0)
    np.testing.assert_array_equal(joints_of(arm), before)


def test_f2_hold_keeps_the_measured_joints(arm, clock):
    pose = arm.get_state().tcp_pose_in_base
    for command in (
        rk.JointCommand(joint_positions_rad=joints_of(arm) + 1.0),
        rk.PoseCommand(tcp_pose_in_base=spatial.integrate_delta(pose, np.array((0, 0.1, -0.1)), np.zeros(3))),
    ):
        arm.send(command)
        clock.advance(0.2)
        arm.hold()
        held = joints_of(arm)
        assert arm.get_state().mode == "holding"
        clock.advance(2.0)
        np.testing.assert_allclose(joints_of(arm), held, atol=0.02)


def test_the_capsules_leave_the_usual_posture_free():
    from robotkit_ur5e import kinematics

    from robotkit.safety.body import BodyBounds

    table = rk.Plane(name="table", point_in_base_m=(0, 0, 0), normal_in_base=(0, 0, 1))
    bounds = BodyBounds(kinematics.chain(), None, (table,), 0.01, 0.0)
    bounds.check_joints(np.array(HOME_RAD))
    with pytest.raises(rk.OutsideWorkspace, match=r"link .* beyond plane .table."):
        bounds.check_joints(np.array((0.0, 0.3, 0.3, 0.0, 0.0, 0.0)))


def test_a_controller_without_its_package_is_a_missing_extra(clock, monkeypatch):
    monkeypatch.setitem(sys.modules, "rtde_control", None)
    with pytest.raises(rk.MissingExtra, match=r"robotkit-ur5e\[rtde\]"):
        arm_on(clock, host="192.0.2.1").connect()


def test_what_a_controller_is_told_and_tells(real_arm, controller):
    """Against a stand-in for ur-rtde: the calls, not a controller."""
    controller.force_n = [0.0, 0.0, 5.0, 0.0, 0.0, 0.0]
    state = real_arm.get_state()
    np.testing.assert_allclose(state.joint_positions_rad, HOME_RAD, atol=1e-9)
    force_in_base = spatial.rotate_vec6(state.tcp_pose_in_base[3:], state.wrench_in_tcp)
    np.testing.assert_allclose(force_in_base, [0, 0, 5, 0, 0, 0], atol=1e-9)
    goal = np.array(HOME_RAD) + 0.05
    real_arm.send(rk.JointCommand(joint_positions_rad=goal))
    wait_until(lambda: np.allclose(controller.joints_rad, goal, atol=1e-9))
    steps = np.abs(np.diff([HOME_RAD, *controller.targets], axis=0))
    assert steps.max() <= 1.5 * 0.008 + 1e-9
    assert controller.lowest_rate_hz >= 5.0
    assert controller.kicks > 0


def test_b13_nothing_moves_between_connection_and_the_first_command(real_arm, controller):
    controller.was_told.clear()
    assert controller.was_told.wait(10.0)
    np.testing.assert_allclose(controller.targets, [HOME_RAD] * len(controller.targets), atol=1e-12)


def test_b13_a_packet_that_is_read_again_keeps_its_stamp(real_arm, controller, clock):
    first = real_arm.get_state().stamp_s
    clock.advance(3.0)
    assert real_arm.get_state().stamp_s == first
    controller.time_s += 3.0
    fresh = real_arm.get_state().stamp_s
    assert fresh == pytest.approx(clock.now_s(), abs=1e-3)
    clock.advance(0.5)
    controller.time_s += 0.1
    assert real_arm.get_state().stamp_s == pytest.approx(fresh + 0.1, abs=1e-3)


def test_b13_a_controller_that_was_started_again_is_believed(real_arm, controller, clock):
    real_arm.get_state()
    clock.advance(60.0)
    controller.time_s = 5.0
    assert real_arm.get_state().stamp_s == pytest.approx(clock.now_s(), abs=1e-9)


@pytest.mark.parametrize(
    ("bits", "name"),
    [(PROTECTIVE_STOP, "protective_stop"), (EMERGENCY_STOP, "emergency_stop"), (1 << 9, "safety_fault")],
)
def test_b13_stops_of_the_controller_are_seen_and_recovered(real_arm, controller, bits, name):
    controller.trip(bits)
    state = real_arm.get_state()
    assert state.mode == "fault"
    assert name in state.faults
    command = rk.JointCommand(joint_positions_rad=np.array(HOME_RAD) + 0.05)
    with pytest.raises(rk.DeviceFault, match=name):
        real_arm.send(command)
    with pytest.raises(rk.DeviceFault, match="pendant"):
        real_arm.recover()
    assert (controller.uploads, real_arm.get_state().mode) == (0, "fault")
    controller.safety_bits = 1
    assert real_arm.get_state().mode == "fault"
    controller.joints_rad, controller.targets = [angle + 0.2 for angle in HOME_RAD], []
    real_arm.recover()
    assert (controller.uploads, real_arm.get_state().mode, real_arm.get_state().faults) == (1, "holding", ())
    wait_until(lambda: bool(controller.targets))
    np.testing.assert_allclose(controller.targets[0], np.array(HOME_RAD) + 0.2, atol=1e-9)
    real_arm.send(command)


@pytest.mark.parametrize(
    ("attribute", "value", "name"),
    [("is_connected", False, "connection_lost"), ("mode", POWER_OFF, "robot_mode_3"), ("is_running", False, "program")],
)
def test_b13_other_troubles_of_the_controller_are_faults(real_arm, controller, attribute, value, name):
    setattr(controller, attribute, value)
    state = real_arm.get_state()
    assert state.mode == "fault"
    assert any(fault.startswith(name) for fault in state.faults)


def test_b13_a_refused_target_is_a_fault_and_no_other_is_tried(real_arm, controller):
    controller.takes_targets = False
    command = rk.JointCommand(joint_positions_rad=np.array(HOME_RAD) + 0.05)
    wait_for_error(lambda: real_arm.send(command), rk.DeviceFault)
    assert "target_refused" in real_arm.get_state().faults
    controller.takes_targets = True
    told = len(controller.targets)
    real_arm.recover()
    real_arm.send(command)
    wait_until(lambda: len(controller.targets) > told)


def test_b13_a_vendor_call_that_raises_is_a_fault(real_arm, controller, monkeypatch):
    def broken(*_):
        raise RuntimeError("socket closed")

    with monkeypatch.context() as patch:
        patch.setattr(controller, "isProgramRunning", broken)
        assert real_arm.get_state().faults == ("connection_lost",)
        with pytest.raises(rk.DeviceFault, match="socket closed"):
            real_arm.recover()
    real_arm.recover()
    assert real_arm.get_state().mode == "holding"
    monkeypatch.setattr(controller, "servoJ", broken)
    wait_until(lambda: real_arm.get_state().mode == "fault")
    assert real_arm.get_state().faults == ("servo_failed: socket closed",)


def test_a_connection_that_fails_half_way_leaves_nothing_open(clock, controller, monkeypatch):
    def unreachable(host):
        raise RuntimeError("no route")

    monkeypatch.setattr(sys.modules["rtde_receive"], "RTDEReceiveInterface", unreachable)
    arm = arm_on(clock, host="192.0.2.1")
    with pytest.raises(rk.ConnectionFailed, match="no route"):
        arm.connect()
    assert controller.is_closed
    assert not arm.is_connected


def test_it_leaves_a_controller_closed(clock, controller):
    with arm_on(clock, host="192.0.2.1") as arm:
        arm.get_state()
    assert controller.is_closed
    controller.was_told.clear()
    assert not controller.was_told.wait(0.05)


@pytest.mark.parametrize("call", ["stop", "hold"])
@pytest.mark.parametrize("broken", [False, True])
def test_b3_a_stop_never_leads_back_to_where_the_arm_was_measured_before(arm, clock, broken, call, monkeypatch):
    """The line repeats an old packet, or brings none; the set-points go on."""
    start_rad, old = joints_of(arm), arm._connection.read()
    arm.send(rk.JointCommand(joint_positions_rad=start_rad + 1.0))
    clock.advance(0.5)
    way_rad = joints_of(arm) - start_rad
    assert (way_rad > 0.1).all()

    def read():
        if broken:
            raise rk.ConnectionFailed("no packet")
        return old

    with monkeypatch.context() as line:
        line.setattr(arm._connection, "read", read)
        # Not held at an old place, but stopped.
        with pytest.raises((rk.DeviceError, rk.ConnectionFailed)) if call == "hold" else contextlib.nullcontext():
            getattr(arm, call)()
    clock.advance(1.0)
    stopped_rad = joints_of(arm) - start_rad
    assert (stopped_rad >= way_rad - 1e-9).all()
    assert (stopped_rad <= way_rad + 0.1).all(), "the newest set-point is a little ahead of the arm"


def tool_m(joints_rad):
    from robotkit_ur5e import kinematics

    return kinematics.tcp_pose(joints_rad)[:3]


def run_along_y(arm, clock, time_s):
    """Follow a pose that the arm does not reach within `time_s`, at its full tool speed of 0.75 m/s."""
    target = arm.get_state().tcp_pose_in_base
    arm.send(rk.PoseCommand(tcp_pose_in_base=spatial.integrate_delta(target, np.array((0, -0.6, 0)), np.zeros(3))))
    clock.advance(time_s)


@pytest.mark.parametrize("call", ["stop", "hold"])
@pytest.mark.parametrize("age_s", [0.0, 0.016, 0.04])
def test_b3_an_arm_in_motion_brakes_where_it_is(arm, clock, call, age_s, monkeypatch):
    """At full speed its set-point is some 35 mm ahead, and a packet of 40 ms ago tells of a place 30 mm behind."""
    run_along_y(arm, clock, 0.4 - age_s)
    packet = arm._connection.read()
    clock.advance(age_s)
    place_m = tool_m(joints_of(arm))
    assert np.linalg.norm(tool_m(arm._follower.setpoint_rad) - place_m) > 0.03
    with monkeypatch.context() as line:
        line.setattr(arm._connection, "read", lambda: packet)
        getattr(arm, call)()
    assert np.linalg.norm(tool_m(arm._follower.setpoint_rad) - place_m) < 0.003
    for _ in range(20):
        clock.advance(0.02)
        assert np.linalg.norm(tool_m(joints_of(arm)) - place_m) < 0.003


@pytest.mark.parametrize("call", ["stop", "hold"])
def test_b3_an_arm_that_something_blocks_presses_on_no_farther_once_it_is_stopped(arm, clock, call, monkeypatch):
    """What trips a force limit keeps the arm from its set-point, which goes on without it."""
    monkeypatch.setattr(type(arm._connection), "_LAG_S", np.inf)
    run_along_y(arm, clock, 0.5)
    place_m = tool_m(joints_of(arm))
    assert np.linalg.norm(tool_m(arm._follower.setpoint_rad) - place_m) > 0.2
    getattr(arm, call)()
    clock.advance(0.1)
    assert np.linalg.norm(tool_m(arm._follower.setpoint_rad) - place_m) < 0.003


def test_an_arm_that_sags_sinks_no_farther_with_each_hold(arm, clock, monkeypatch):
    read, asked_rad = arm._connection.read, joints_of(arm)
    monkeypatch.setattr(arm._connection, "read", lambda: replace(read(), joints_rad=arm._follower.setpoint_rad - 0.003))
    for _ in range(10):
        arm.hold()
        clock.advance(0.1)
    np.testing.assert_array_equal(arm._follower.setpoint_rad, asked_rad)
