"""Laws of limits that hold in time, of joint targets and paths, and of what is measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import robotkit as rk
from robotkit.safety.budget import SpeedBudget
from robotkit.spatial import integrate_delta
from tests.support.safe_arm import FreeClock, safe_arm, shifted
from tests.support.waiting import wait_until

BOX = rk.WorkspaceBox(position_min_m=(0.3, -0.2, 0.1), position_max_m=(0.7, 0.2, 0.5))


def targets(start, steps):
    pose = start.copy()
    for step in steps:
        pose = integrate_delta(pose, np.array((step, 0, 0)), np.zeros(3))
        yield rk.PoseCommand(tcp_pose_in_base=pose)


def test_b8_a_burst_is_refused_and_a_late_tick_is_none():
    limits = rk.SafetyLimits(max_tcp_speed_m_s=0.2, speed_window_s=0.25)
    arm, body, clock = safe_arm(limits)
    start = arm.get_state().tcp_pose_in_base
    first, *burst = targets(start, [0.03] * 7)
    arm.send(first)
    for command in burst:
        clock.advance(1e-4)
        with pytest.raises(rk.StepTooLarge, match="max_tcp_speed_m_s"):
            arm.send(command)
    assert len(body.sent) == 1
    clock.advance(10.0)
    arm.hold()
    lateness = [0.0, 0.0, 0.08, -0.08, 0.0, 0.05, -0.05, 0.0]
    for late_s, command in zip(lateness, targets(arm.get_state().tcp_pose_in_base, [0.02] * 8), strict=True):
        clock.advance(0.1 + late_s)
        arm.send(command)


@pytest.mark.parametrize("refill", ["hold", "stop", "reconnect", "forget_target"])
def test_b8_nothing_but_time_refills_the_budget(refill):
    arm, body, _ = safe_arm(rk.SafetyLimits(max_tcp_speed_m_s=0.2, speed_window_s=0.25), time_constant_s=1e-6)
    arm.send(shifted(arm, 0.05))
    if refill == "stop":
        arm.stop()
        arm.recover()
    elif refill == "reconnect":
        arm.disconnect()
        arm.connect()
    else:
        getattr(arm, refill)()
    with pytest.raises(rk.StepTooLarge, match="max_tcp_speed_m_s"):
        arm.send(shifted(arm, 0.01))
    assert len(body.sent) == 1


@pytest.mark.parametrize(("limit", "turn"), [({"max_tcp_rotation_speed_rad_s": 1.0}, 0.3), ({}, 0.0)])
def test_b8_rotation_has_a_budget_of_its_own(limit, turn):
    arm, _, clock = safe_arm(rk.SafetyLimits(**limit, speed_window_s=0.25))
    if not turn:
        arm.send(shifted(arm, 0.1, 3.0))
        return
    with pytest.raises(rk.StepTooLarge, match="max_tcp_rotation_speed_rad_s"):
        arm.send(shifted(arm, 0.0, turn))
    arm.send(shifted(arm, 0.0, 0.24))
    with pytest.raises(rk.StepTooLarge):
        arm.send(shifted(arm, 0.0, 0.3))
    clock.advance(10.0)
    arm.send(shifted(arm, 0.5, 0.0))


def test_b8_joint_targets_keep_the_arms_own_speeds_without_any_limit():
    arm, _, clock = safe_arm(rk.SafetyLimits(speed_window_s=0.1))
    joints = arm.get_state().joint_positions_rad
    step = np.array((0, 0, 0, 0, 0, 0, 1.01))  # 10 rad/s * 0.1 s
    with pytest.raises(rk.StepTooLarge, match="joint 6"):
        arm.send(rk.JointCommand(joint_positions_rad=joints + step))
    arm.send(rk.JointCommand(joint_positions_rad=joints + 0.99 * step))
    with pytest.raises(rk.StepTooLarge, match="joint 6"):
        arm.send(rk.JointCommand(joint_positions_rad=joints + 1.5 * step))
    clock.advance(0.1)
    arm.send(rk.JointCommand(joint_positions_rad=joints + 1.5 * step))


def test_b8_a_cells_joint_speed_is_below_the_arms():
    arm, _, _ = safe_arm(rk.SafetyLimits(max_joint_speed_rad_s=1.0, speed_window_s=0.1))
    joints = arm.get_state().joint_positions_rad
    with pytest.raises(rk.StepTooLarge):
        arm.send(rk.JointCommand(joint_positions_rad=joints + 0.11))
    arm.send(rk.JointCommand(joint_positions_rad=joints + np.array((0.05, 0, 0, 0.09, 0, 0, 0))))


@given(st.lists(st.tuples(st.floats(0.0, 0.3), st.floats(0.0, 0.2)), min_size=1, max_size=40))
def test_in_any_interval_targets_move_no_farther_than_speed_times_interval_and_window(events):
    budget, now_s, moves = SpeedBudget(0.5, 0.2), 0.0, []
    for pause_s, distance in events:
        now_s += pause_s
        if budget.allows(distance, now_s):
            budget.spend(distance, now_s)
            moves.append((now_s, distance))
    for i, (start_s, _) in enumerate(moves):
        total = 0.0
        for end_s, distance in moves[i:]:
            total += distance
            assert total <= 0.5 * (end_s - start_s + 0.2) + 1e-9


def test_a_nan_is_in_no_budget():
    assert not SpeedBudget(0.5, 0.2).allows(float("nan"), 0.0)
    assert not SpeedBudget(np.full(2, 0.5), 0.2).allows(np.array((0.0, np.nan)), 0.0)


def test_b8_joint_targets_and_paths_stay_in_the_box():
    arm, body, clock = safe_arm(rk.SafetyLimits(workspace=BOX), joint_speed_rad_s=10.0)
    joints = arm.get_state().joint_positions_rad
    outside = joints + np.array((0.3, 0, 0, 0, 0, 0, 0))
    with pytest.raises(rk.OutsideWorkspace, match=r"x = 0\.8"):
        arm.send(rk.JointCommand(joint_positions_rad=outside))
    with pytest.raises(rk.OutsideWorkspace, match=r"x = 0\.8"):
        arm.move_to_joint_positions(outside)
    clock.advance(1.0)
    np.testing.assert_array_equal(arm.get_state().joint_positions_rad, joints)
    assert body.sent == []
    arm.move_to_joint_positions(joints + np.array((0.15, 0, 0, 0, 0, 0, 0)))


def test_b8_a_pose_that_is_measured_outside_the_box_stops_the_arm():
    arm, body, _ = safe_arm(rk.SafetyLimits(workspace=BOX, measured_margin_m=0.02))
    body._motion = type(body._motion)(*(np.array((0.71, 0, 0.3, np.pi, 0, 0, 0)),) * 2, 0.0, 0.05)
    assert arm.get_state().mode == "holding", "within the margin"
    body._motion = type(body._motion)(*(np.array((0.73, 0, 0.3, np.pi, 0, 0, 0)),) * 2, 0.0, 0.05)
    state = arm.get_state()
    assert state.mode == "stopped"
    assert "workspace box" in state.stop.cause
    arm.recover()
    assert arm.get_state().mode == "holding", "a person has looked; it may come back from there"
    body._motion = type(body._motion)(*(np.array((0.76, 0, 0.3, np.pi, 0, 0, 0)),) * 2, 0.0, 0.05)
    assert arm.get_state().mode == "stopped", "but go no farther out"


def test_b8_a_speed_that_is_measured_twice_stops_the_arm():
    limits = rk.SafetyLimits(max_tcp_speed_m_s=0.1, speed_window_s=1.0, measured_speed_factor=1.5)
    arm, _, clock = safe_arm(limits, time_constant_s=0.05)
    arm.send(shifted(arm, 0.1))
    clock.advance(0.01)
    assert arm.get_state().mode == "tracking"
    assert arm.get_state().mode == "tracking", "the same measurement counts once"
    clock.advance(0.01)
    state = arm.get_state()
    assert state.mode == "stopped"
    assert "1.5 times its speed limits" in state.stop.cause


@pytest.mark.parametrize("speed_m_s", [0.05, 0.25])
@pytest.mark.parametrize("window_s", [0.2, 0.5])
def test_b8_late_ticks_of_a_policy_at_the_limit_do_not_stop_an_arm_that_lags(speed_m_s, window_s):
    """Its steps begin at 2.8 times the limit: by a lag of 0.05 s and 10 commands in a second."""
    limits = rk.SafetyLimits(max_tcp_speed_m_s=speed_m_s, speed_window_s=window_s)
    arm, body, clock = safe_arm(limits, time_constant_s=0.05)
    lateness_s, fastest = [0.0, 0.0, 0.08, 0.0, 0.0, 0.05, 0.0, 0.0], 0.0
    start = arm.get_state().tcp_pose_in_base
    for tick, command in enumerate(targets(start, [0.1 * speed_m_s] * 20)):
        while clock.now_s() < 0.1 * tick + lateness_s[tick % len(lateness_s)] - 1e-9:
            clock.advance(0.01)
            fastest = max(fastest, float(np.linalg.norm(arm.get_state().tcp_twist_in_base)))
        arm.send(command)
    assert arm.get_state().mode == "tracking"
    assert fastest > 2.5 * speed_m_s, "so fast that two measurements alone would have stopped it"
    assert len(body.sent) == 20


def test_b8_an_arm_that_goes_on_a_little_too_fast_is_stopped():
    arm, body, clock = safe_arm(rk.SafetyLimits(max_tcp_speed_m_s=0.1), time_constant_s=1e6)
    goal = body._motion.goal + np.array((0.22 * 1e6, 0, 0, 0, 0, 0, 0))
    body._motion = type(body._motion)(body._motion.goal, goal, 0.0, 1e6)
    rounds = 0
    while arm.get_state().mode != "stopped":
        clock.advance(0.01)
        rounds += 1
        assert rounds < 25, "10 % above twice the limit, for 0.2 s"
    assert rounds > 15


def test_a_plane_bounds_the_links_of_an_arm():
    table = rk.Plane(name="table", point_in_base_m=(0, 0, 0), normal_in_base=(0, 0, 1), clearance_m=0.25)
    arm, body, _ = safe_arm(rk.SafetyLimits(planes=(table,)), FreeClock())
    try:
        joints = arm.get_state().joint_positions_rad
        with pytest.raises(rk.OutsideWorkspace, match="table"):
            arm.send(rk.JointCommand(joint_positions_rad=joints - np.array((0, 0, 0.1, 0, 0, 0, 0))))
        wait_until(lambda: arm._watch.rounds > 0)
        body._motion = type(body._motion)(*(joints - np.array((0, 0, 0.1, 0, 0, 0, 0)),) * 2, 0.0, 0.05)
        wait_until(lambda: body.machine.mode == "stopped")
        assert "table" in body.machine.stop.cause
    finally:
        arm.disconnect()


def test_b8_a_joint_target_is_refused_for_its_path_from_where_the_arm_is():
    """Both ends are in the box; half-way the tool is turned out of it by more than a radian."""
    box = BOX.model_copy(update={
        "reference_quaternion_xyzw": np.array((1.0, 0, 0, 0)), "rotation_vector_min_rad": np.array((-0.8, -0.8, -1.6)),
        "rotation_vector_max_rad": np.array((0.8, 0.8, 1.6)),
    })  # fmt: skip
    arm, body, _ = safe_arm(rk.SafetyLimits(workspace=box, speed_window_s=0.5))
    start, around, back = (np.array((0.5, 0, 0.3, np.pi, 0, yaw_rad, 0)) for yaw_rad in (1.5, 2 * np.pi - 1.5, -1.5))
    body.move_to_joint_positions(start)
    with pytest.raises(rk.OutsideWorkspace, match=r"after \d+% of the joint path"):
        arm.send(rk.JointCommand(joint_positions_rad=around))
    assert body.sent == []
    arm.send(rk.JointCommand(joint_positions_rad=back))
