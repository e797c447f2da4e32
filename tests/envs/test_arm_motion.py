"""Laws of `ArmMotion`: the way of the tool is straight, goes in small steps, and leads into its box."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from envs.tasks.arm_motion import ArmMotion
from envs.tasks.reach_pose import REACH_POSE
from robotkit import MotionFailed, PoseCommand, RobotStopped, make_workcell, spatial
from robotkit.workspace import distance_outside, is_inside

UNIT = arrays(np.float64, 3, elements=st.floats(-1.0, 1.0))


@given(start=UNIT, end=UNIT, turn=UNIT)
def test_the_way_to_the_start_is_straight_short_and_inside(start, end, turn):
    box = REACH_POSE.workspace
    motion = ArmMotion(box, 0.1, speed_m_s=0.1, speed_rad_s=0.5)
    middle, half = (box.position_max_m + box.position_min_m) / 2, (box.position_max_m - box.position_min_m) / 2
    begin = spatial.make_pose(middle + start * half, REACH_POSE.start[3:])
    goal = spatial.integrate_delta(begin, end * half - start * half, 0.3 * turn)
    way = motion.targets(begin, goal)
    assert np.array_equal(way[-1], goal)
    for before, after in zip([begin, *way], way, strict=False):
        assert is_inside(after, box)
        assert np.linalg.norm(after[3:]) == pytest.approx(1.0, abs=1e-9)
        assert spatial.distance_between(before, after) <= 0.01 + 1e-9
        assert spatial.angle_between(before[3:], after[3:]) <= 0.05 + 1e-9
    length = sum(spatial.distance_between(*pair) for pair in zip([begin, *way], way, strict=False))
    assert length == pytest.approx(spatial.distance_between(begin, goal), abs=1e-9)


@given(offset=UNIT, turn=UNIT)
def test_a_way_that_starts_outside_leads_in_by_small_steps_and_stays_inside(offset, turn):
    box = REACH_POSE.workspace
    motion = ArmMotion(box, 0.1, speed_m_s=0.1, speed_rad_s=0.5)
    begin = spatial.integrate_delta(REACH_POSE.start, 0.6 * offset, 1.5 * turn)
    way = motion.targets(begin, REACH_POSE.start)
    assert np.array_equal(way[-1], REACH_POSE.start)
    was_m, was_rad = distance_outside(begin, box)
    for before, after in zip([begin, *way], way, strict=False):
        assert spatial.distance_between(before, after) <= 0.01 + 1e-9
        assert spatial.angle_between(before[3:], after[3:]) <= 0.05 + 1e-9
        now_m, now_rad = distance_outside(after, box)
        assert now_m <= was_m + 1e-9
        assert now_rad <= was_rad + 1e-6
        assert now_m + now_rad < was_m + was_rad or was_m + was_rad < 1e-9
        was_m, was_rad = now_m, now_rad


def reaching(cell):
    return ArmMotion(REACH_POSE.workspace, 0.1, timeout_s=1.0), cell.get_state().robot.tcp_pose_in_base


def beside(pose):
    return spatial.integrate_delta(pose, np.array((0.0, 0.15, 0.0)), np.zeros(3))


def steps_of(cell) -> list:
    """What the cell's `step` is called with from now on."""
    commands, step = [], cell.step

    def note(command=None, gripper=None, period_s=0.0, target_epoch=None):
        commands.append(command)
        return step(command, gripper, period_s, target_epoch)

    cell.step = note
    return commands


def test_m24_every_waiting_step_carries_the_goal():
    """Else a watchdog takes the waiting for silence, and holds the arm short of its goal."""
    with make_workcell("fake", **{"robot.time_constant_s": 0.4}) as cell:
        motion, start = reaching(cell)
        goal = beside(start)
        motion = replace(motion, timeout_s=3.0, tolerance_m=0.002)
        commands = steps_of(cell)
        motion.run(cell, goal)
    way = motion.targets(start, goal)
    assert len(commands) > len(way) + 3, "it had to wait"
    assert all(np.allclose(command.tcp_pose_in_base, goal) for command in commands[len(way) :])


def test_r1_a_motion_that_somebody_interrupts_goes_on_from_where_the_arm_is_then():
    with make_workcell("fake") as cell:
        motion, start = reaching(cell)
        goal = beside(start)
        commands, advance = steps_of(cell), cell.clock.advance

        def interrupt(period_s):
            advance(period_s)
            if len(commands) == 5:
                cell.clock.advance = advance
                cell.robot.move_to_joint_positions(cell.robot.spec.reset_joint_positions_rad)

        cell.clock.advance = interrupt
        state = motion.run(cell, goal)
    assert spatial.distance_between(state.robot.tcp_pose_in_base, goal) <= motion.tolerance_m
    jumps = [spatial.distance_between(a.tcp_pose_in_base, b.tcp_pose_in_base) for a, b in pairwise(commands)]
    assert jumps[4] > 0.04, "from the old way to the new one"
    assert np.allclose(commands[5].tcp_pose_in_base, commands[0].tcp_pose_in_base, atol=1e-3)
    assert max(jumps[:4] + jumps[5:]) <= motion.speed_m_s * 0.1 + 1e-9


@pytest.mark.parametrize("by", ["stop", "fault"])
def test_a2_a_motion_does_not_go_on_after_a_stop_or_a_fault_that_was_recovered_within_a_step(by):
    with make_workcell("fake") as cell:
        motion, start = reaching(cell)
        commands, advance = steps_of(cell), cell.clock.advance

        def interrupt(period_s):
            advance(period_s)
            if len(commands) == 5:
                cell.clock.advance = advance
                cell.robot.stop() if by == "stop" else cell.robot.inner.inject_fault("torn")
                cell.robot.recover()

        cell.clock.advance = interrupt
        with pytest.raises(RobotStopped, match="recovered while the tool was on its way"):
            motion.run(cell, beside(start))
        assert len(commands) == 5
        state = motion.run(cell, beside(start))
    assert spatial.distance_between(state.robot.tcp_pose_in_base, beside(start)) <= motion.tolerance_m


def test_r1_a_motion_that_is_interrupted_again_and_again_says_so():
    with make_workcell("fake") as cell:
        motion, start = reaching(cell)
        advance = cell.clock.advance
        cell.clock.advance = lambda period_s: (advance(period_s), cell.robot.hold())
        with pytest.raises(MotionFailed, match="something else replaced its target 5 times"):
            motion.run(cell, beside(start))


@pytest.mark.parametrize("number", [3, 20], ids=["on the way", "coming to rest"])
def test_r1_no_step_pulls_the_arm_back_from_where_another_client_has_brought_and_held_it(number):
    with make_workcell("fake", **{"robot.time_constant_s": 0.4, "limits.max_translation_step_m": 0.5}) as cell:
        motion, start = reaching(cell)
        motion = replace(motion, timeout_s=5.0, tolerance_m=1e-4)
        step, follow, followed, steps = cell.step, cell.robot.inner._follow, [], []

        def note(command):
            followed.append(command.tcp_pose_in_base)
            return follow(command)

        def interrupted(command, gripper, period_s, target_epoch):
            steps.append(command)
            if len(steps) == number:
                aside = spatial.integrate_delta(start, np.array((0.0, -0.1, 0.0)), np.zeros(3))
                step(PoseCommand(tcp_pose_in_base=aside), None, 1.0)
                cell.robot.hold()
                followed[:] = [cell.get_state().robot.tcp_pose_in_base]
            return step(command, gripper, period_s, target_epoch)

        cell.step, cell.robot.inner._follow = interrupted, note
        state = motion.run(cell, beside(start))
    jumps = [spatial.distance_between(*pair) for pair in pairwise(followed)]
    assert len(jumps) > 5
    assert max(jumps) <= motion.speed_m_s * 0.1 + 1e-9
    assert spatial.distance_between(state.robot.tcp_pose_in_base, beside(start)) <= motion.tolerance_m
