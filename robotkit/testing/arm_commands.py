"""`ArmCommandContract`: specification, state and commands of an arm."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np
import pytest

import robotkit as rk
from robotkit.testing import moves
from robotkit.testing.cell_contract import CellContract
from robotkit.workcell import Workcell

BadTarget = Callable[[Workcell], rk.PoseCommand]


class ArmCommandContract(CellContract):
    """Laws of states and commands; `ArmContract` says what the cell needs."""

    def test_spec_is_consistent(self, cell: Workcell) -> None:
        """Joint ranges have one width for each joint, and the reset configuration lies inside."""
        spec = cell.robot.spec
        assert spec.joint_count == len(spec.joint_position_max_rad) == len(spec.reset_joint_positions_rad)
        assert (spec.joint_position_min_rad < spec.joint_position_max_rad).all()
        assert (spec.joint_position_min_rad <= spec.reset_joint_positions_rad).all()
        assert (spec.reset_joint_positions_rad <= spec.joint_position_max_rad).all()

    def test_state_has_the_shapes_that_its_spec_promises(self, cell: Workcell) -> None:
        """A state has the shapes of its spec, a unit quaternion, and survives the wire."""
        state, count = cell.robot.get_state(), cell.robot.spec.joint_count
        assert state.tcp_pose_in_base.shape == (7,)
        assert np.linalg.norm(state.tcp_pose_in_base[3:]) == pytest.approx(1.0, abs=1e-6)
        assert state.tcp_twist_in_base.shape == state.wrench_in_tcp.shape == (6,)
        assert state.joint_positions_rad.shape == state.joint_velocities_rad_s.shape == (count,)
        assert state.jacobian_in_base.shape == (6, count)
        assert type(state).model_validate_json(state.model_dump_json()) == state

    def test_twist_is_jacobian_times_joint_velocities(self, cell: Workcell) -> None:
        """The twist of the tool is the Jacobian times the joint velocities."""
        cell.robot.send(moves.nudged(cell))
        moves.wait(cell, 0.06)
        state = cell.robot.get_state()
        assert np.abs(state.tcp_twist_in_base).max() > 1e-3
        np.testing.assert_allclose(
            state.jacobian_in_base @ state.joint_velocities_rad_s, state.tcp_twist_in_base, atol=1e-6
        )

    def test_stamps_never_go_back_and_follow_the_clock(self, cell: Workcell) -> None:
        """Stamps grow with the clock of the cell."""
        stamps = []
        for _ in range(10):
            stamps += [cell.robot.get_state().stamp_s, cell.robot.get_state().stamp_s]
            moves.wait(cell, 0.02)
        assert stamps == sorted(stamps)
        assert stamps[-1] - stamps[0] > 0.05

    def test_send_returns_what_was_accepted(self, cell: Workcell) -> None:
        """`send` returns the accepted command."""
        command = moves.nudged(cell)
        accepted = cell.robot.send(command)
        assert accepted.kind == "pose"
        np.testing.assert_allclose(accepted.tcp_pose_in_base, command.tcp_pose_in_base, atol=1e-9)

    def test_send_does_not_wait_and_the_arm_arrives(self, cell: Workcell) -> None:
        """`send` returns before the arm has moved, and the arm reaches the target."""
        command = moves.nudged(cell)
        cell.robot.send(command)
        assert moves.distance_m(moves.tcp_pose(cell), command) > 0.01
        moves.wait_to_arrive(cell, command)

    def test_newest_target_wins(self, cell: Workcell) -> None:
        """A newer target replaces an older one."""
        first, second = moves.nudged(cell, 0.03), moves.nudged(cell, 0.005)
        cell.robot.send(first)
        cell.robot.send(second)
        moves.wait(cell, 0.3)
        moves.wait_to_arrive(cell, second)
        assert moves.distance_m(moves.tcp_pose(cell), first) > 0.015

    @pytest.mark.parametrize(
        ("bad", "error"),
        [
            (moves.not_a_number, rk.InvalidCommand),
            (moves.too_short, rk.InvalidCommand),
            (moves.not_of_unit_length, rk.InvalidCommand),
            (moves.outside, rk.OutsideWorkspace),
            (moves.too_far, rk.StepTooLarge),
        ],
    )
    def test_a_bad_target_has_its_own_error_and_leaves_the_target(
        self, cell: Workcell, bad: BadTarget, error: type[rk.RobotkitError]
    ) -> None:
        """A refused target raises its own error, and the arm stays at the last accepted one."""
        good = moves.nudged(cell)
        cell.robot.send(good)
        moves.wait_to_arrive(cell, good)
        with pytest.raises(error) as caught:
            cell.robot.send(bad(cell))
        assert type(caught.value) is error
        assert len(caught.value.message) > 20
        moves.wait(cell, 0.2)
        assert moves.distance_m(moves.tcp_pose(cell), good) < moves.ARRIVAL_M

    def test_steps_are_counted_from_the_last_target_not_from_the_arm(self, cell: Workcell) -> None:
        """The step limit is measured from the last target."""
        start, corner = moves.tcp_pose(cell), moves.too_far(cell).tcp_pose_in_base
        way_m = (corner - start)[:3] / np.linalg.norm((corner - start)[:3]) * moves.translation_step_m(cell)
        near, far = start.copy(), start.copy()
        near[:3] += 0.55 * way_m
        far[:3] += 1.05 * way_m
        cell.robot.send(moves.pose_command(near))
        cell.robot.send(moves.pose_command(far))

    def test_joint_targets_are_checked(self, cell: Workcell) -> None:
        """A joint motion of a wrong size, without numbers or out of range is refused and moves nothing."""
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

    def test_joint_commands_are_followed_or_refused(self, cell: Workcell) -> None:
        """Joint commands are followed within the limits, or the arm does not support them."""
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
        far[0] = moves.joint_step_rad(cell) * 1.5
        with pytest.raises(rk.StepTooLarge):
            cell.robot.send(rk.JointCommand(joint_positions_rad=state.joint_positions_rad + far))
        cell.robot.send(command)
        moves.wait(cell, 1.0)
        reached = cell.robot.get_state().joint_positions_rad
        np.testing.assert_allclose(reached, command.joint_positions_rad, atol=0.01)

    def test_joint_motion_arrives_before_it_returns(self, cell: Workcell) -> None:
        """A joint motion returns when the arm stands at its goal."""
        goal = cell.robot.get_state().joint_positions_rad.copy()
        goal[0] += 0.1
        cell.robot.move_to_joint_positions(goal)
        state = cell.robot.get_state()
        np.testing.assert_allclose(state.joint_positions_rad, goal, atol=0.03)
        assert np.abs(state.joint_velocities_rad_s).max() < 0.1

    def test_the_step_after_a_joint_motion_counts_from_the_arm(self, cell: Workcell) -> None:
        """After a reset the step limit is measured from where the arm stands."""
        cell.robot.send(moves.nudged(cell))
        cell.robot.reset()
        command = moves.nudged(cell)
        assert cell.robot.send(command).kind == "pose"

    def test_compliance_changes_or_is_unsupported(self, cell: Workcell) -> None:
        """The compliance can be changed, or the arm does not support it."""
        with contextlib.suppress(rk.Unsupported):
            cell.robot.set_compliance(rk.ComplianceParams(translational_stiffness_n_m=1000.0))
        cell.robot.send(moves.nudged(cell))
