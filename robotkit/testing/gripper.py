"""`GripperContract`: the laws of every gripper."""

from __future__ import annotations

from itertools import pairwise

import pytest

import robotkit as rk
from robotkit.testing import moves
from robotkit.testing.cell_contract import CellContract
from robotkit.workcell import Workcell


class GripperContract(CellContract):
    """Laws of every gripper; the arm of the cell may be the fake one.

    After `reset` the gripper is open and nothing is between its fingers.
    """

    @pytest.fixture
    def gripper(self, cell: Workcell) -> rk.BaseGripperServer:
        """The gripper under test."""
        return moves.gripper_of(cell)

    def test_positions_are_normalised_and_widths_are_metres(
        self, cell: Workcell, gripper: rk.BaseGripperServer
    ) -> None:
        """0 is closed, 1 is open, and the width is the position times the largest width."""
        for position in (0.0, 1.0):
            gripper.move(position)
            moves.wait_for_fingers(cell)
            state = gripper.get_state()
            assert state.target_position == pytest.approx(position, abs=0.01)
            assert state.position == pytest.approx(position, abs=0.06)
            assert state.width_m == pytest.approx(state.position * gripper.spec.width_max_m, abs=0.006)
            assert not state.is_moving

    def test_open_and_close_are_the_ends(self, cell: Workcell, gripper: rk.BaseGripperServer) -> None:
        """`close` ends at 0 and `open` at 1, without an object between the fingers."""
        gripper.close()
        moves.wait_for_fingers(cell)
        closed = gripper.get_state()
        gripper.open()
        moves.wait_for_fingers(cell)
        opened = gripper.get_state()
        assert closed.position < 0.06
        assert opened.position > 0.94
        assert not opened.is_grasping

    def test_move_does_not_wait(self, gripper: rk.BaseGripperServer) -> None:
        """A command returns before the fingers have moved."""
        before = gripper.get_state().position
        gripper.close()
        after = gripper.get_state()
        assert before > 0.9
        assert after.position > 0.5
        assert after.target_position == pytest.approx(0.0, abs=0.01)

    def test_newest_command_wins(self, cell: Workcell, gripper: rk.BaseGripperServer) -> None:
        """A newer command replaces an older one."""
        gripper.close()
        gripper.open()
        moves.wait_for_fingers(cell)
        assert gripper.get_state().position > 0.94

    @pytest.mark.parametrize("position", [-0.1, 1.1, float("nan"), float("inf")])
    def test_a_bad_position_is_refused_and_changes_nothing(
        self, gripper: rk.BaseGripperServer, position: float
    ) -> None:
        """A position outside [0, 1] is refused, and the target stays."""
        gripper.move(1.0)
        with pytest.raises(rk.InvalidCommand):
            gripper.move(position)
        assert gripper.get_state().target_position == pytest.approx(1.0, abs=0.01)

    def test_openings_of_its_spec_are_taken_and_others_refused(self, gripper: rk.BaseGripperServer) -> None:
        """The openings of the spec are taken, those between them refused."""
        positions = gripper.spec.positions
        for position in (0.0, 0.37, 1.0) if positions is None else positions:
            gripper.move(position)
            assert gripper.get_state().target_position == pytest.approx(position, abs=0.01)
        if positions is not None:
            for low, high in pairwise(positions):
                with pytest.raises(rk.InvalidCommand, match=f"it takes: .*{high:g}"):
                    gripper.move((low + high) / 2)
            assert gripper.get_state().target_position == pytest.approx(positions[-1], abs=0.01)

    def test_reset_opens(self, cell: Workcell, gripper: rk.BaseGripperServer) -> None:
        """`reset` ends open."""
        gripper.close()
        moves.wait_for_fingers(cell)
        gripper.activate()
        gripper.reset()
        moves.wait_for_fingers(cell)
        assert gripper.get_state().position > 0.94

    def test_a_disconnected_gripper_says_so(self, cell: Workcell, gripper: rk.BaseGripperServer) -> None:
        """A disconnected gripper raises `NotConnected`."""
        cell.disconnect()
        with pytest.raises(rk.NotConnected):
            gripper.get_state()
        with pytest.raises(rk.NotConnected):
            gripper.open()
