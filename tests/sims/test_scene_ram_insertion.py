"""Laws of the memory module and its slot: it goes in aligned and one way round, and the slot carries a push."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.spatial import relative_pose
from sims.scenes.ram_insertion import EDGE_HALF_THICKNESS_M, NOTCH_M, REACH_M, SLOT_DEPTH_M, SLOT_HOME
from tests.sims.scene_cells import STIFF, approach, push, require_little_penetration

CELL = "mujoco-ram-insertion"
HALF_TURN = np.array((*SLOT_HOME[:3], 0.0, 0.0, 1.0, 0.0))


def edge_in_slot_m(state):
    return relative_pose(state.poses["slot"].pose_in_base, state.poses["module"].pose_in_base)[:3]


def insert(cell, beside_m=(0.0, 0.0), slot_pose=SLOT_HOME):
    """Go above the slot, or beside it, and down until something stops the module."""
    state = cell.reset(0, {"slot": slot_pose})
    cell.robot.set_compliance(STIFF)
    above = state.poses["slot"].pose_in_base[:3] + np.array((*beside_m, REACH_M + 0.004))
    approach(cell, above, 2.5)
    return approach(cell, above - np.array((0.0, 0.0, 0.012)), 1.5)


def test_an_aligned_module_goes_in_until_it_sits_and_resists_twenty_newtons():
    with rk.make_workcell(CELL) as cell:
        assert edge_in_slot_m(insert(cell))[2] == pytest.approx(-SLOT_DEPTH_M, abs=3e-4)
        # Clipped at 1 cm, 2000 N/m give 20 N.
        cell.robot.set_compliance(rk.ComplianceParams())
        for direction in ((0.0, 0.0, -0.03), (0.03, 0.0, 0.0), (0.0, 0.03, 0.0)):
            state = push(cell, np.array(direction))
            assert np.linalg.norm(state.robot.wrench_in_tcp[:3]) == pytest.approx(20.0, rel=0.2)
            require_little_penetration(cell)


@pytest.mark.parametrize(
    "beside_m", [(0.0, 4 * EDGE_HALF_THICKNESS_M), (0.004, 0.0), (2 * NOTCH_M, 0.0)], ids=("across", "along", "far")
)
def test_a_module_beside_its_slot_stays_out(beside_m):
    with rk.make_workcell(CELL) as cell:
        assert edge_in_slot_m(insert(cell, beside_m))[2] > -0.4 * SLOT_DEPTH_M


def test_a_module_the_wrong_way_round_is_stopped_by_the_rib_below_the_mouth():
    with rk.make_workcell(CELL) as cell:
        depth_m = -edge_in_slot_m(insert(cell, slot_pose=HALF_TURN))[2]
    assert 0.2 * SLOT_DEPTH_M < depth_m < 0.4 * SLOT_DEPTH_M


def test_a_wider_gap_forgives_more():
    beside_m = (0.0, 0.0016)
    for clearance_m, goes_in in ((0.0002, False), (0.001, True)):
        with rk.make_workcell(CELL, **{"world.scene_options.clearance_m": clearance_m}) as cell:
            assert (edge_in_slot_m(insert(cell, beside_m))[2] < -0.5 * SLOT_DEPTH_M) == goes_in
