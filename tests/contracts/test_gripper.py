"""Laws of every gripper."""

from __future__ import annotations

from itertools import pairwise

import pytest

import robotkit as rk
from tests.contracts import moves


def test_positions_are_normalised_and_widths_are_metres(cell):
    gripper = cell.gripper
    for position in (0.0, 1.0):
        gripper.move(position)
        moves.wait_for_fingers(cell)
        state = gripper.get_state()
        assert state.target_position == pytest.approx(position, abs=0.01)
        assert state.position == pytest.approx(position, abs=0.06)
        assert state.width_m == pytest.approx(state.position * gripper.spec.width_max_m, abs=0.006)
        assert not state.is_moving


def test_open_and_close_are_the_ends(cell):
    cell.gripper.close()
    moves.wait_for_fingers(cell)
    closed = cell.gripper.get_state()
    cell.gripper.open()
    moves.wait_for_fingers(cell)
    opened = cell.gripper.get_state()
    assert closed.position < 0.06
    assert opened.position > 0.94
    assert not opened.is_grasping


def test_move_does_not_wait(cell):
    before = cell.gripper.get_state().position
    cell.gripper.close()
    after = cell.gripper.get_state()
    assert before > 0.9
    assert after.position > 0.5
    assert after.target_position == pytest.approx(0.0, abs=0.01)


def test_newest_command_wins(cell):
    cell.gripper.close()
    cell.gripper.open()
    moves.wait_for_fingers(cell)
    assert cell.gripper.get_state().position > 0.94


@pytest.mark.parametrize("position", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_bad_position_is_refused_and_changes_nothing(cell, position):
    cell.gripper.move(1.0)
    with pytest.raises(rk.InvalidCommand):
        cell.gripper.move(position)
    assert cell.gripper.get_state().target_position == pytest.approx(1.0, abs=0.01)


def test_f12_openings_of_its_spec_are_taken_and_others_refused(cell):
    positions = cell.gripper.spec.positions
    for position in (0.0, 0.37, 1.0) if positions is None else positions:
        cell.gripper.move(position)
        assert cell.gripper.get_state().target_position == pytest.approx(position, abs=0.01)
    if positions is not None:
        for low, high in pairwise(positions):
            with pytest.raises(rk.InvalidCommand, match=f"it takes: .*{high:g}"):
                cell.gripper.move((low + high) / 2)
        assert cell.gripper.get_state().target_position == pytest.approx(positions[-1], abs=0.01)


def test_reset_opens(cell):
    cell.gripper.close()
    moves.wait_for_fingers(cell)
    cell.gripper.activate()
    cell.gripper.reset()
    moves.wait_for_fingers(cell)
    assert cell.gripper.get_state().position > 0.94


def test_a_disconnected_gripper_says_so(cell):
    cell.disconnect()
    with pytest.raises(rk.NotConnected):
        cell.gripper.get_state()
    with pytest.raises(rk.NotConnected):
        cell.gripper.open()
