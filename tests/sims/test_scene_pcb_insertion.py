"""Laws of the component and its board: three pins fit three holes, one way round, and the board carries a push."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.spatial import relative_pose
from sims.scenes.pcb_insertion import PIN_LENGTH_M, PIN_PITCH_M, REACH_M
from tests.sims.scene_cells import STIFF, approach, push, require_little_penetration

CELL = "mujoco-pcb-insertion"


def tips_in_board_m(state):
    return relative_pose(state.poses["board"].pose_in_base, state.poses["component"].pose_in_base)[:3]


def insert(cell, beside_m=0.0):
    """Go above the holes, or beside them along the row, and down until something stops the component."""
    state = cell.reset(0)
    cell.robot.set_compliance(STIFF)
    above = state.poses["board"].pose_in_base[:3] + np.array((beside_m, 0.0, REACH_M + 0.004))
    approach(cell, above, 2.5)
    return approach(cell, above - np.array((0.0, 0.0, 0.014)), 1.5)


def test_centred_pins_go_in_until_the_body_sits_on_the_board_and_it_resists_twenty_newtons():
    with rk.make_workcell(CELL) as cell:
        assert tips_in_board_m(insert(cell))[2] == pytest.approx(-PIN_LENGTH_M, abs=3e-4)
        # Clipped at 1 cm, 2000 N/m give 20 N.
        cell.robot.set_compliance(rk.ComplianceParams())
        for direction in ((0.0, 0.0, -0.03), (0.03, 0.0, 0.0)):
            state = push(cell, np.array(direction))
            assert np.linalg.norm(state.robot.wrench_in_tcp[:3]) == pytest.approx(20.0, rel=0.2)
            require_little_penetration(cell)


@pytest.mark.parametrize("beside_m", [0.5 * PIN_PITCH_M, PIN_PITCH_M])
def test_pins_beside_their_holes_stay_out_even_where_two_of_three_would_fit(beside_m):
    with rk.make_workcell(CELL) as cell:
        assert tips_in_board_m(insert(cell, beside_m))[2] > -0.2 * PIN_LENGTH_M


def test_a_wider_gap_forgives_more():
    beside_m = 0.0022
    for clearance_m, goes_in in ((0.0003, False), (0.002, True)):
        with rk.make_workcell(CELL, **{"world.scene_options.clearance_m": clearance_m}) as cell:
            assert (tips_in_board_m(insert(cell, beside_m))[2] < -0.5 * PIN_LENGTH_M) == goes_in
