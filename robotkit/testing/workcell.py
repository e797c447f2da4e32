"""`WorkcellContract`: the laws of every workcell."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.testing import moves
from robotkit.testing.cell_contract import CellContract
from robotkit.workcell import Workcell


class WorkcellContract(CellContract):
    """Laws of every workcell, which concern its devices together.

    The cell has a gripper; its limits are those that `ArmContract` needs.
    """

    def test_connecting_and_disconnecting_twice_changes_nothing(self, cell: Workcell) -> None:
        """A second connection or disconnection changes nothing."""

        def connected() -> set[bool]:
            return {cell.is_connected, *(device.is_connected for device in cell.devices())}

        cell.connect()
        assert connected() == {True}
        cell.disconnect()
        cell.disconnect()
        assert connected() == {False}

    def test_a_cell_can_be_connected_again(self, cell: Workcell) -> None:
        """A cell that was disconnected can be connected and commanded again."""
        cell.disconnect()
        cell.connect()
        cell.robot.send(moves.nudged(cell))

    def test_spec_survives_the_wire(self, cell: Workcell) -> None:
        """A spec is equal to what it was after serialisation, and names every sensor."""
        spec = cell.spec()
        assert rk.CellSpec.model_validate_json(spec.model_dump_json()) == spec
        assert spec.clock == ("lockstep" if cell.clock.is_lockstep else "real")
        assert set(spec.cameras) == set(cell.cameras)
        assert set(spec.trackers) == set(cell.trackers)

    def test_state_survives_the_wire(self, cell: Workcell) -> None:
        """A state is equal to what it was after serialisation, and has the pose of every tracker."""
        state = cell.get_state()
        assert rk.CellState.model_validate_json(state.model_dump_json()) == state
        assert set(state.poses) == set(cell.trackers)

    def test_step_sends_waits_and_measures(self, cell: Workcell) -> None:
        """A step sends arm and gripper, waits for its period and measures."""
        before = cell.get_state()
        command = moves.nudged(cell)
        half = moves.gripper_of(cell).spec.nearest_position(0.5)
        state = cell.step(command, rk.GripperCommand(position=half), 0.1)
        assert isinstance(state.accepted, rk.PoseCommand)
        np.testing.assert_allclose(state.accepted.tcp_pose_in_base, command.tcp_pose_in_base, atol=1e-9)
        assert state.gripper is not None
        assert state.gripper.target_position == pytest.approx(half, abs=0.01)
        passed_s = state.robot.stamp_s - before.robot.stamp_s
        if cell.clock.is_lockstep:
            assert passed_s == pytest.approx(0.1, abs=1e-6)
        else:
            assert passed_s > 0.05
        assert cell.step(period_s=0.02).accepted is None

    def test_a_refused_step_lets_no_time_pass_in_lockstep(self, cell: Workcell) -> None:
        """In lock-step a refused step lets no time pass."""
        if not cell.clock.is_lockstep:
            pytest.skip("the wall's time passes anyway")
        before_s = cell.get_state().robot.stamp_s
        with pytest.raises(rk.OutsideWorkspace):
            cell.step(moves.outside(cell), None, 0.1)
        assert cell.get_state().robot.stamp_s == before_s

    def test_reset_returns_to_one_start(self, cell: Workcell) -> None:
        """A reset with one seed always ends at one start."""
        start = cell.reset(seed=3).robot.tcp_pose_in_base
        reach_m = min(0.05, 0.8 * moves.translation_step_m(cell))
        for _ in range(3):
            cell.robot.send(moves.nudged(cell, reach_m))
            moves.wait(cell, 0.2)
        state = cell.reset(seed=3)
        np.testing.assert_allclose(state.robot.tcp_pose_in_base[:3], start[:3], atol=moves.ARRIVAL_M)
        assert cell.robot.send(moves.nudged(cell)).kind == "pose"

    def test_an_object_that_is_not_there_cannot_be_placed(self, cell: Workcell) -> None:
        """An object that the cell does not have cannot be placed."""
        with pytest.raises(rk.Unsupported):
            cell.reset(object_poses_in_base={"no-such-object": np.array([0.5, 0, 0.1, 0, 0, 0, 1.0])})
