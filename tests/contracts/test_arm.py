"""Laws of every arm inside its safety layer."""

from __future__ import annotations

import contextlib
import threading

import numpy as np
import pytest

import robotkit as rk
from tests.contracts import moves


def test_spec_is_consistent(cell):
    spec = cell.robot.spec
    assert spec.joint_count == len(spec.joint_position_max_rad) == len(spec.reset_joint_positions_rad)
    assert (spec.joint_position_min_rad < spec.joint_position_max_rad).all()
    assert (spec.joint_position_min_rad <= spec.reset_joint_positions_rad).all()
    assert (spec.reset_joint_positions_rad <= spec.joint_position_max_rad).all()


def test_state_has_the_shapes_that_its_spec_promises(cell):
    state, count = cell.robot.get_state(), cell.robot.spec.joint_count
    assert state.tcp_pose_in_base.shape == (7,)
    assert np.linalg.norm(state.tcp_pose_in_base[3:]) == pytest.approx(1.0, abs=1e-6)
    assert state.tcp_twist_in_base.shape == state.wrench_in_tcp.shape == (6,)
    assert state.joint_positions_rad.shape == state.joint_velocities_rad_s.shape == (count,)
    assert state.jacobian_in_base.shape == (6, count)
    assert type(state).model_validate_json(state.model_dump_json()) == state


def test_twist_is_jacobian_times_joint_velocities(cell):
    cell.robot.send(moves.nudged(cell))
    moves.wait(cell, 0.06)
    state = cell.robot.get_state()
    assert np.abs(state.tcp_twist_in_base).max() > 1e-3
    np.testing.assert_allclose(
        state.jacobian_in_base @ state.joint_velocities_rad_s, state.tcp_twist_in_base, atol=1e-6
    )


def test_stamps_never_go_back_and_follow_the_clock(cell):
    stamps = []
    for _ in range(10):
        stamps += [cell.robot.get_state().stamp_s, cell.robot.get_state().stamp_s]
        moves.wait(cell, 0.02)
    assert stamps == sorted(stamps)
    assert stamps[-1] - stamps[0] > 0.05


def test_send_returns_what_was_accepted(cell):
    command = moves.nudged(cell)
    accepted = cell.robot.send(command)
    assert accepted.kind == "pose"
    np.testing.assert_allclose(accepted.tcp_pose_in_base, command.tcp_pose_in_base, atol=1e-9)


def test_send_does_not_wait_and_the_arm_arrives(cell):
    command = moves.nudged(cell)
    cell.robot.send(command)
    assert moves.distance_m(moves.tcp_pose(cell), command) > 0.01
    moves.wait_to_arrive(cell, command)


def test_newest_target_wins(cell):
    first, second = moves.nudged(cell, 0.03), moves.nudged(cell, 0.005)
    cell.robot.send(first)
    cell.robot.send(second)
    moves.wait(cell, 0.3)
    moves.wait_to_arrive(cell, second)
    assert moves.distance_m(moves.tcp_pose(cell), first) > 0.015


def _nan(cell):
    pose = moves.tcp_pose(cell)
    pose[0] = np.nan
    return moves.pose_command(pose)


def _short(cell):
    return moves.pose_command(moves.tcp_pose(cell)[:6])


def _crooked(cell):
    return moves.pose_command(moves.tcp_pose(cell) * 2.0)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (_nan, rk.InvalidCommand),
        (_short, rk.InvalidCommand),
        (_crooked, rk.InvalidCommand),
        (moves.outside, rk.OutsideWorkspace),
        (moves.too_far, rk.StepTooLarge),
    ],
)
def test_a_bad_target_has_its_own_error_and_leaves_the_target(cell, bad, error):
    good = moves.nudged(cell)
    cell.robot.send(good)
    moves.wait_to_arrive(cell, good)
    with pytest.raises(error) as caught:
        cell.robot.send(bad(cell))
    assert type(caught.value) is error
    assert len(caught.value.message) > 20
    moves.wait(cell, 0.2)
    assert moves.distance_m(moves.tcp_pose(cell), good) < moves.ARRIVAL_M


def test_steps_are_counted_from_the_last_target_not_from_the_arm(cell):
    start, corner = moves.tcp_pose(cell), moves.too_far(cell).tcp_pose_in_base
    way_m = (corner - start)[:3] / np.linalg.norm((corner - start)[:3]) * cell.limits.max_translation_step_m
    near, far = start.copy(), start.copy()
    near[:3] += 0.55 * way_m
    far[:3] += 1.05 * way_m
    cell.robot.send(moves.pose_command(near))
    cell.robot.send(moves.pose_command(far))


def test_joint_targets_are_checked(cell):
    spec = cell.robot.spec
    start = cell.robot.get_state().joint_positions_rad
    with pytest.raises(rk.InvalidCommand):
        cell.robot.move_to_joint_positions(np.zeros(spec.joint_count + 1))
    with pytest.raises(rk.InvalidCommand):
        cell.robot.move_to_joint_positions(np.full(spec.joint_count, np.nan))
    with pytest.raises(rk.JointLimitExceeded):
        cell.robot.move_to_joint_positions(spec.joint_position_max_rad + 0.1)
    moves.wait(cell, 0.2)
    np.testing.assert_allclose(cell.robot.get_state().joint_positions_rad, start, atol=0.02)


def test_joint_commands_are_followed_or_refused(cell):
    spec, state = cell.robot.spec, cell.robot.get_state()
    step = np.zeros(spec.joint_count)
    step[0] = 0.02
    command = rk.JointCommand(joint_positions_rad=state.joint_positions_rad + step)
    if "joint" not in spec.command_kinds:
        with pytest.raises(rk.Unsupported):
            cell.robot.send(command)
        return
    with pytest.raises(rk.InvalidCommand):
        cell.robot.send(rk.JointCommand(joint_positions_rad=[0.0]))
    far = np.zeros(spec.joint_count)
    far[0] = cell.limits.max_joint_step_rad * 1.5
    with pytest.raises(rk.StepTooLarge):
        cell.robot.send(rk.JointCommand(joint_positions_rad=state.joint_positions_rad + far))
    cell.robot.send(command)
    moves.wait(cell, 1.0)
    reached = cell.robot.get_state().joint_positions_rad
    np.testing.assert_allclose(reached, command.joint_positions_rad, atol=0.01)


def test_joint_motion_arrives_before_it_returns(cell):
    goal = cell.robot.get_state().joint_positions_rad.copy()
    goal[0] += 0.1
    cell.robot.move_to_joint_positions(goal)
    state = cell.robot.get_state()
    np.testing.assert_allclose(state.joint_positions_rad, goal, atol=0.03)
    assert np.abs(state.joint_velocities_rad_s).max() < 0.1


def test_the_step_after_a_joint_motion_counts_from_the_arm(cell):
    cell.robot.send(moves.nudged(cell))
    cell.robot.reset()
    command = moves.nudged(cell)
    assert cell.robot.send(command).kind == "pose"


def test_stop_refuses_every_command_until_recover(cell):
    command = moves.nudged(cell)
    cell.robot.stop()
    cell.robot.stop()
    with pytest.raises(rk.RobotStopped):
        cell.robot.send(command)
    with pytest.raises(rk.RobotStopped):
        cell.robot.move_to_joint_positions(cell.robot.get_state().joint_positions_rad)
    assert cell.robot.get_state().mode == "stopped"
    cell.robot.recover()
    assert cell.robot.get_state().mode != "stopped"
    cell.robot.send(command)


def test_stop_in_a_motion_holds_still(cell):
    start = moves.tcp_pose(cell)
    target = moves.nudged(cell, min(0.1, 0.8 * cell.limits.max_translation_step_m))
    cell.robot.send(target)
    moves.wait(cell, 0.04)
    cell.robot.stop()
    moves.wait(cell, 0.5)
    stopped = moves.tcp_pose(cell)
    assert moves.distance_m(stopped, target) > 0.3 * moves.distance_m(start, target)
    moves.wait(cell, 0.3)
    np.testing.assert_allclose(moves.tcp_pose(cell)[:3], stopped[:3], atol=2e-3)
    cell.robot.recover()
    moves.wait(cell, 0.3)
    np.testing.assert_allclose(moves.tcp_pose(cell)[:3], stopped[:3], atol=moves.ARRIVAL_M)


def test_stop_comes_from_any_thread(cell):
    command = moves.nudged(cell, 0.01)
    cell.robot.send(command)
    stopper = threading.Thread(target=cell.robot.stop)
    stopper.start()
    stopper.join(5.0)
    assert not stopper.is_alive()
    with pytest.raises(rk.RobotStopped):
        cell.robot.send(command)


def test_stop_interrupts_a_joint_motion(cell):
    if cell.clock.is_lockstep:
        pytest.skip("in lock-step the motion takes no time in which it could be stopped")
    start = cell.robot.get_state().joint_positions_rad[0]
    assert isinstance(moves.interrupted(cell, cell.robot.stop), rk.MotionFailed | rk.RobotStopped)
    state = cell.robot.get_state()
    assert state.mode == "stopped"
    assert abs(state.joint_positions_rad[0] - start) < 0.19


def test_a2_a_stop_that_comes_when_a_joint_motion_may_begin_lets_nothing_move(cell):
    """The motion has its right to move, and the body has not told its device yet."""
    machine = getattr(cell.robot, "machine", None)
    if machine is None:
        pytest.skip("the state machine of this arm is on the server, whose body has to keep the law")
    before_rad, begin = cell.robot.get_state().joint_positions_rad.copy(), machine.begin_travel
    goal_rad = before_rad.copy()
    goal_rad[0] += 0.1

    def begin_and_stop(rate_max_hz):
        travel = begin(rate_max_hz)
        cell.robot.stop()
        return travel

    machine.begin_travel = begin_and_stop
    try:
        with pytest.raises(rk.MotionFailed):
            cell.robot.move_to_joint_positions(goal_rad)
    finally:
        machine.begin_travel = begin
    moves.wait(cell, 0.1)
    state = cell.robot.get_state()
    assert state.mode == "stopped"
    np.testing.assert_allclose(state.joint_positions_rad, before_rad, atol=2e-3)


def test_a_command_during_a_joint_motion_is_refused_and_the_motion_goes_on(cell):
    if cell.clock.is_lockstep:
        pytest.skip("in lock-step the motion takes no time in which something could be sent")
    command = moves.nudged(cell)
    refused = []

    def send():
        for call in (lambda: cell.robot.send(command), cell.robot.reset):
            try:
                call()
            except rk.RobotkitError as error:
                refused.append(error)

    assert moves.interrupted(cell, send) is None
    assert len(refused) == 2
    assert all(isinstance(error, rk.CommandRejected) for error in refused)


def test_f2_hold_makes_the_measured_configuration_the_target(cell):
    target = moves.nudged(cell, min(0.1, 0.8 * cell.limits.max_translation_step_m))
    cell.robot.send(target)
    moves.wait(cell, 0.04)
    epoch = cell.robot.get_state().target_epoch
    cell.robot.hold()
    moves.wait(cell, 0.3)
    held = cell.robot.get_state()
    assert held.mode == "holding"
    assert held.target_epoch > epoch
    moves.wait(cell, 0.5)
    np.testing.assert_allclose(moves.tcp_pose(cell)[:3], held.tcp_pose_in_base[:3], atol=moves.ARRIVAL_M)
    cell.robot.send(moves.nudged(cell))


def test_hold_ends_a_joint_motion(cell):
    if cell.clock.is_lockstep:
        pytest.skip("in lock-step the motion takes no time in which it could be held")
    start = cell.robot.get_state().joint_positions_rad[0]
    assert isinstance(moves.interrupted(cell, cell.robot.hold), rk.MotionFailed | rk.RobotStopped)
    moves.wait(cell, 0.3)
    held = cell.robot.get_state()
    assert held.mode in ("holding", "stopped"), "an arm that can end a motion only by a stop is stopped"
    assert abs(held.joint_positions_rad[0] - start) < 0.19
    moves.wait(cell, 0.3)
    np.testing.assert_allclose(cell.robot.get_state().joint_positions_rad, held.joint_positions_rad, atol=0.02)


def test_the_mode_says_what_the_arm_does(cell):
    assert cell.robot.get_state().mode == "holding"
    cell.robot.send(moves.nudged(cell))
    assert cell.robot.get_state().mode == "tracking"
    cell.robot.stop_for("a test", "somebody")
    stopped = cell.robot.get_state()
    assert stopped.mode == "stopped"
    assert stopped.stop is not None
    cell.robot.recover()
    assert cell.robot.get_state().mode == "holding"
    assert cell.robot.get_state().stop is None


def test_a_stop_outlasts_a_reset_of_the_world_and_a_hold(cell):
    cell.robot.stop()
    cell.robot.hold()
    if cell.can_place_objects:
        cell.reset(seed=1)
    assert cell.robot.get_state().mode == "stopped"
    with pytest.raises(rk.RobotStopped):
        cell.robot.send(moves.nudged(cell))


def test_compliance_changes_or_is_unsupported(cell):
    with contextlib.suppress(rk.Unsupported):
        cell.robot.set_compliance(rk.ComplianceParams(translational_stiffness_n_m=1000.0))
    cell.robot.send(moves.nudged(cell))


def test_a_disconnected_arm_says_so(cell):
    command = moves.nudged(cell)
    cell.disconnect()
    assert not cell.robot.is_connected
    with pytest.raises(rk.NotConnected):
        cell.robot.get_state()
    with pytest.raises(rk.NotConnected):
        cell.robot.send(command)
    with pytest.raises(rk.NotConnected):
        cell.robot.move_to_joint_positions(cell.robot.spec.reset_joint_positions_rad)
