"""Laws of a world with two arms: each cell has one, in the frame of its own base, and time and resets are one."""

from __future__ import annotations

from contextlib import ExitStack
from threading import Thread
from threading import enumerate as enumerate_threads

import numpy as np
import pytest

import robotkit as rk
from robotkit.spatial import compose, make_pose
from tests.sims.scene_cells import push
from tests.support.waiting import wait_until

LEFT, RIGHT = "mujoco-object-handover-left", "mujoco-object-handover-right"
NEVER_HOLD = {"limits.watchdog_s": None}


@pytest.fixture
def cells():
    left = rk.make_workcell(LEFT)
    with left, rk.make_workcell_in(left.world, RIGHT) as right:
        left.reset(0)
        right.robot.forget_target()
        yield left, right


def test_both_arms_do_alike_what_they_are_told_alike_each_before_its_own_base(cells):
    """The scene's arms face each other: in the world, they move in opposite directions."""
    path = np.linspace((0.38, 0.0, 0.25), (0.3, 0.1, 0.15), 15)
    down = np.array((1.0, 0.0, 0.0, 0.0))
    for point in path:
        for cell in cells:
            cell.robot.send(rk.PoseCommand(tcp_pose_in_base=make_pose(point, down)))
            cell.gripper.move(0.3)
        cells[0].clock.advance(0.1)
    left, right = (cell.get_state() for cell in cells)
    assert np.linalg.norm(left.robot.tcp_pose_in_base[:3] - path[0]) > 0.1
    for name in ("tcp_pose_in_base", "tcp_twist_in_base", "wrench_in_tcp", "joint_positions_rad", "jacobian_in_base"):
        np.testing.assert_allclose(getattr(right.robot, name), getattr(left.robot, name), atol=1e-6, err_msg=name)
    assert right.gripper.position == pytest.approx(left.gripper.position, abs=1e-6)
    jacobian, velocities = right.robot.jacobian_in_base, right.robot.joint_velocities_rad_s
    np.testing.assert_allclose(jacobian @ velocities, right.robot.tcp_twist_in_base, atol=1e-12)


def test_an_arm_that_is_told_nothing_stays(cells):
    left, right = cells
    before = right.get_state().robot
    push(left, np.array((-0.05, 0.05, -0.05)))
    after = right.get_state().robot
    assert np.linalg.norm(left.get_state().robot.tcp_pose_in_base[:3] - (0.38, 0.0, 0.25)) > 0.05
    np.testing.assert_allclose(after.joint_positions_rad, before.joint_positions_rad, atol=1e-6)


def test_each_cell_tells_where_things_are_and_places_them_in_the_frame_of_its_own_base(cells):
    left, right = cells
    base = np.array((1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    for cell in cells:
        place = np.array((0.36, -0.2, 0.015, 0.0, 0.0, np.sin(0.1), np.cos(0.1)))
        state = cell.reset(1, {"object": place})
        np.testing.assert_allclose(state.poses["object"].pose_in_base, place, atol=1e-9)
        seen = [one.get_state().poses["object"].pose_in_base for one in (left, right)]
        np.testing.assert_allclose(compose(base, seen[1])[:3], seen[0][:3], atol=1e-9)


def test_time_is_one_and_a_step_of_a_lone_cell_waits_for_nobody(cells):
    left, right = cells
    start_s = left.clock.now_s()
    left.clock.advance(0.1)
    right.clock.advance(0.2)
    assert left.clock.now_s() == right.clock.now_s() == pytest.approx(start_s + 0.3)


def test_a_reset_by_one_cell_alone_takes_the_others_target_from_it(cells):
    left, right = cells
    push(right, np.array((-0.06, 0.0, -0.05)))
    state = right.get_state().robot
    left.reset(0)
    with pytest.raises(rk.TargetReplaced):
        right.step(rk.PoseCommand(tcp_pose_in_base=state.tcp_pose_in_base), None, 0.1, state.target_epoch)
    np.testing.assert_allclose(right.get_state().robot.tcp_pose_in_base[:3], (0.38, 0.0, 0.25), atol=1e-3)


def test_a_cell_that_is_left_keeps_the_other_going(cells):
    left, right = cells
    left.disconnect()
    right.clock.advance(0.1)
    assert right.get_state().robot.mode == "holding"
    assert right.cameras["wrist"].read().rgb.any()


def test_a_failed_world_is_the_fault_of_both_arms(cells):
    left, right = cells
    left.world.data.qvel[0] = np.nan
    with pytest.raises(rk.DeviceFault, match="has failed"):
        right.clock.advance(0.1)
    assert [cell.robot.get_state().mode for cell in cells] == ["fault", "fault"]
    left.robot.recover()
    right.robot.recover()
    assert [cell.robot.get_state().mode for cell in cells] == ["holding", "holding"]


def test_the_recovery_of_one_arm_from_a_failed_world_hides_the_failure_from_no_other(cells):
    """It puts both arms at their start, so what the other one is told from before it is refused."""
    left, right = cells
    push(right, np.array((-0.06, 0.0, -0.05)))
    state = right.get_state().robot
    left.world.data.qvel[0] = np.nan
    with pytest.raises(rk.DeviceFault, match="has failed"):
        left.clock.advance(0.1)
    left.robot.recover()
    with pytest.raises(rk.DeviceFault, match="has failed"):
        right.step(rk.PoseCommand(tcp_pose_in_base=state.tcp_pose_in_base), None, 0.1)
    right.robot.recover()
    with pytest.raises(rk.TargetReplaced):
        right.step(rk.PoseCommand(tcp_pose_in_base=state.tcp_pose_in_base), None, 0.1, state.target_epoch)
    assert [cell.robot.get_state().mode for cell in cells] == ["holding", "holding"]


def test_a_reset_by_another_cell_takes_no_arm_out_of_the_fault_that_nobody_has_recovered(cells):
    """Whether it had seen the failure before or not."""
    left, right = cells
    for is_seen in (True, False):
        left.world.data.qvel[0] = np.nan
        with pytest.raises(rk.DeviceFault, match="has failed"):
            left.world.simulation.advance(0.002)
        assert not is_seen or right.robot.get_state().mode == "fault"
        left.reset(0)
        assert [cell.robot.get_state().mode for cell in cells] == ["holding", "fault"]
        with pytest.raises(rk.DeviceFault, match="has failed"):
            right.step(rk.PoseCommand(tcp_pose_in_base=right.robot.get_state().tcp_pose_in_base), None, 0.1)
        right.robot.recover()
        assert right.robot.get_state().mode == "holding"


def test_a_command_that_comes_before_the_cell_is_told_of_anothers_reset_is_not_left_without_its_watch(cells):
    """The arm follows no target that its machine does not know of."""
    left, right = cells
    told = right.world.when_reset_by_another

    def tell_late() -> None:
        pose = right.robot.get_state().tcp_pose_in_base + np.array((0.0, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0))
        right.robot.send(rk.PoseCommand(tcp_pose_in_base=pose))
        told()

    right.world.when_reset_by_another = tell_late
    left.reset(0)
    before = right.get_state().robot
    assert before.mode == "holding"
    left.clock.advance(0.5)
    np.testing.assert_allclose(right.get_state().robot.tcp_pose_in_base, before.tcp_pose_in_base, atol=1e-3)


@pytest.mark.parametrize("restart", ["reset", "recovery"])
@pytest.mark.parametrize("stopped", [0, 1])
def test_a_stopped_arm_that_another_cell_puts_elsewhere_is_not_said_to_move_on(cells, stopped, restart):
    arm, other = cells[stopped], cells[1 - stopped]
    push(arm, np.array((-0.06, 0.0, -0.05)))
    arm.robot.stop()
    for _ in range(8):  # it has come to rest, and was seen standing
        other.clock.advance(0.1)
        arm.get_state()
    before = arm.get_state().robot
    if restart == "reset":
        other.reset(0)
    else:
        other.world.data.qvel[0] = np.nan
        with pytest.raises(rk.DeviceFault, match="has failed"):
            other.clock.advance(0.1)
        other.robot.recover()
    for _ in range(8):
        other.clock.advance(0.1)
        after = arm.get_state().robot
        assert (after.mode, after.moves_on) == ("stopped" if restart == "reset" else "fault", False)
        assert after.stop is not None
    assert np.linalg.norm(after.tcp_pose_in_base[:3] - before.tcp_pose_in_base[:3]) > 0.05


def test_a_cell_that_enters_while_the_last_one_leaves_has_a_world_whose_time_ends_with_it(monkeypatch):
    with ExitStack() as stack:
        left = rk.make_workcell(LEFT, clock="real", **NEVER_HOLD)
        right = rk.make_workcell_in(left.world, RIGHT, clock="real", **NEVER_HOLD)
        left.world.connect()
        stop, entering = left.world.simulation.stop, Thread(target=right.connect)

        def stop_late():
            entering.start()
            entering.join(1.0)
            stop()

        monkeypatch.setattr(left.world.simulation, "stop", stop_late)
        stack.callback(right.disconnect)
        left.world.disconnect()
        monkeypatch.undo()
        entering.join()
        assert right.is_connected
        start_s = right.get_state().robot.stamp_s
        wait_until(lambda: right.get_state().robot.stamp_s > start_s)
    assert "mujoco-physics" not in [thread.name for thread in enumerate_threads()], "its time ends when the last leaves"


def test_both_run_in_real_time_on_one_physics():
    with rk.make_workcell(LEFT, clock="real", **NEVER_HOLD) as left:
        with rk.make_workcell_in(left.world, RIGHT, clock="real", **NEVER_HOLD) as right:
            start_s = right.get_state().robot.stamp_s
            wait_until(lambda: right.get_state().robot.stamp_s > start_s)
        start_s = left.get_state().robot.stamp_s
        wait_until(lambda: left.get_state().robot.stamp_s > start_s)


@pytest.mark.parametrize(
    ("cell", "overrides", "text"),
    [
        (LEFT, {}, "stands in another cell already"),
        (RIGHT, {"world.physics_dt_s": 0.001}, "alike but for the arm"),
        (RIGHT, {"clock": "real"}, "same clock"),
        (RIGHT, {"world.arm": "middle"}, "no arm 'middle'.*'left', 'right'"),
        ("fake", {}, "cannot stand in the world"),
        ("http://127.0.0.1:5000", {}, "another program"),
    ],
)
def test_what_cannot_share_a_world_is_refused(cell, overrides, text):
    left = rk.make_workcell(LEFT)
    with pytest.raises(rk.InvalidConfiguration, match=text):
        rk.make_workcell_in(left.world, cell, **overrides)


def test_a_world_of_one_arm_cannot_be_shared_and_one_of_two_has_to_name_it():
    with pytest.raises(rk.InvalidConfiguration, match=r"'fake' cannot stand|alike|already"):
        rk.make_workcell_in(rk.make_workcell("mujoco-pick-cube").world, "mujoco-pick-cube")
    with pytest.raises(rk.InvalidConfiguration, match="option arm: 'left', 'right'"):
        rk.make_workcell(LEFT, **{"world.arm": None})
