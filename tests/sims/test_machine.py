"""The simulated arm under the one state machine: what a reset of the world keeps and what it ends."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import robotkit as rk
from tests.support.waiting import wait_until

NEVER_HOLD = {"limits.watchdog_s": None}


@pytest.fixture(params=["lockstep", "real"])
def cell(request):
    with rk.make_workcell("mujoco-pick-cube", clock=request.param, **NEVER_HOLD) as built:
        built.reset(seed=0)
        yield built


def test_a_reset_keeps_a_stop_with_its_cause_and_its_author(cell):
    cell.robot.stop_for("somebody pressed the button", "the tests")
    record = cell.robot.get_state().stop
    for _ in range(2):
        state = cell.reset(seed=1).robot
        assert state.mode == "stopped"
        assert state.stop == record
    with pytest.raises(rk.RobotStopped, match="somebody pressed the button"):
        cell.robot.send(rk.PoseCommand(tcp_pose_in_base=state.tcp_pose_in_base))
    with pytest.raises(rk.RobotStopped):
        cell.robot.move_to_joint_positions(state.joint_positions_rad)
    cell.robot.recover()
    assert cell.robot.get_state().mode == "holding"


def test_a_stopped_arm_stays_where_a_reset_puts_it(cell):
    cell.robot.stop()
    home = cell.reset(seed=0).robot.joint_positions_rad
    cell.clock.advance(0.3)
    np.testing.assert_allclose(cell.robot.get_state().joint_positions_rad, home, atol=2e-3)


def test_everything_but_a_command_begins_a_new_target_epoch(cell):
    epochs = [cell.robot.get_state().target_epoch]
    for act in (cell.reset, cell.robot.hold, cell.robot.stop, cell.robot.recover, cell.reset):
        act()
        epochs.append(cell.robot.get_state().target_epoch)
    assert epochs == sorted(set(epochs)), "each of them grows it"
    state = cell.robot.get_state()
    cell.robot.send(rk.PoseCommand(tcp_pose_in_base=state.tcp_pose_in_base))
    assert cell.robot.get_state().target_epoch == state.target_epoch
    assert cell.robot.get_state().mode == "tracking"


def test_modes_are_what_the_arm_was_told_and_not_how_fast_it_is(cell):
    state = cell.robot.get_state()
    assert state.mode == "holding"
    cell.robot.send(rk.PoseCommand(tcp_pose_in_base=state.tcp_pose_in_base))
    cell.clock.advance(0.5)
    assert cell.robot.get_state().mode == "tracking"
    cell.robot.hold()
    assert cell.robot.get_state().mode == "holding"


@pytest.mark.parametrize("how", ["hold", "stop", "reset", "disconnect", "break"])
def test_a_joint_motion_in_real_time_ends_for_whoever_interrupts_it(how):
    def break_world():
        with cell.world.lock:
            cell.world.data.qvel[2] = np.nan

    free = {**NEVER_HOLD, "limits.workspace": None}
    with rk.make_workcell("mujoco-pick-cube", clock="real", **free) as cell:
        home = cell.reset().robot.joint_positions_rad
        errors = []

        def move():
            try:
                cell.robot.move_to_joint_positions(home + np.array((2.5, 0, 0, 0, 0, 0, 0)))
            except rk.RobotkitError as error:
                errors.append(error)

        mover = threading.Thread(target=move)
        mover.start()
        wait_until(lambda: bool(errors) or cell.robot.get_state().joint_positions_rad[0] > home[0] + 0.1)
        assert not errors
        assert cell.robot.get_state().mode == "travelling"
        interrupt = {"hold": cell.robot.hold, "stop": cell.robot.stop, "reset": cell.reset,
                     "disconnect": cell.disconnect, "break": break_world}[how]  # fmt: skip
        interrupt()
        mover.join(10.0)
        assert not mover.is_alive()
        assert isinstance(errors[0], rk.MotionFailed | rk.DeviceFault | rk.NotConnected)
        if how in ("hold", "stop"):
            # It stands where it braked: 2 rad/s take 0.05 rad, not the rest of the path.
            rest = cell.robot.get_state().joint_positions_rad
            cell.clock.advance(0.3)
            np.testing.assert_allclose(cell.robot.get_state().joint_positions_rad, rest, atol=0.05)
            assert cell.robot.get_state().joint_positions_rad[0] < home[0] + 2.3
        if how == "reset":
            cell.clock.advance(0.3)
            np.testing.assert_allclose(cell.robot.get_state().joint_positions_rad, home, atol=2e-3)


def test_a2_a_stop_before_a_joint_motion_has_begun_lets_nothing_move(cell, monkeypatch):
    """It comes when the motion has its right to move, and the arm has not been told of it."""
    robot, goal_rad = cell.robot.inner, cell.robot.get_state().joint_positions_rad + 0.2
    before_rad, measure = goal_rad - 0.2, robot._measure

    def measure_and_stop():
        if robot.machine.mode == "travelling":
            robot.stop()
        return measure()

    monkeypatch.setattr(robot, "_measure", measure_and_stop)
    with pytest.raises(rk.MotionFailed):
        robot.move_to_joint_positions(goal_rad)
    cell.clock.advance(0.2)
    state = cell.robot.get_state()
    assert state.mode == "stopped"
    np.testing.assert_allclose(state.joint_positions_rad, before_rad, atol=2e-3)
