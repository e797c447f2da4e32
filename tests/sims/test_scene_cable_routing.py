"""Laws of the cable and its clip: the cable hangs, bends, holds together, and stays where it was pressed."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.spatial import relative_pose
from sims.scenes.cable_routing import CABLE_RADIUS_M, LINK_LENGTH_M, LINKS, REACH_M, SEAT_M, SLOT_DEPTH_M
from tests.sims.scene_cells import STIFF, approach, push, require_little_penetration

CELL = "mujoco-cable-routing"


def in_clip_m(state):
    return relative_pose(state.poses["clip"].pose_in_base, state.poses["cable"].pose_in_base)[:3]


def press_in(cell, beside_m=0.0):
    """Bring the cable over the slot, or beside it, and down."""
    state = cell.reset(0)
    cell.robot.set_compliance(STIFF)
    clip = state.poses["clip"].pose_in_base[:3]
    above = np.array((clip[0] - REACH_M, clip[1] + beside_m, SEAT_M + 0.03))
    approach(cell, above, 1.5)
    return approach(cell, above - np.array((0.0, 0.0, 0.03)), 1.5)


def links_m(cell):
    model, data = cell.world.model, cell.world.data
    return np.array([data.xpos[model.body(f"link_{number}").id] for number in range(1, LINKS + 1)])


def test_a_cable_above_the_slot_is_seated_and_its_walls_hold_it_against_a_pull_across():
    with rk.make_workcell(CELL) as cell:
        seated = in_clip_m(press_in(cell))
        np.testing.assert_allclose(seated[1:], (0.0, CABLE_RADIUS_M - SLOT_DEPTH_M), atol=2e-3)
        # Clipped at 1 cm, 2000 N/m give 20 N.
        cell.robot.set_compliance(rk.ComplianceParams())
        pulled = in_clip_m(push(cell, np.array((0.0, 0.02, 0.0))))
        assert abs(pulled[1]) < 1.5e-3
        require_little_penetration(cell)


def test_a_cable_beside_the_slot_stays_out():
    with rk.make_workcell(CELL) as cell:
        assert abs(in_clip_m(press_in(cell, beside_m=0.02))[1]) > 5e-3


def test_links_stay_together_and_the_plug_lies_on_the_table():
    with rk.make_workcell(CELL) as cell:
        cell.reset(0)
        cell.clock.advance(0.5)
        links = links_m(cell)
        np.testing.assert_allclose(np.linalg.norm(np.diff(links, axis=0), axis=1), LINK_LENGTH_M, rtol=0.1)
        assert (links[:, 2] > 0.0).all()
        assert links[0, 2] > 0.12
        assert links[-1, 2] < 0.02


@pytest.mark.parametrize(("soft", "stiff"), [(0.01, 0.3)])
def test_a_stiffer_cable_droops_less(soft, stiff):
    droop_m = {}
    for stiffness in (soft, stiff):
        with rk.make_workcell(CELL, **{"world.scene_options.stiffness_nm_rad": stiffness}) as cell:
            cell.reset(0)
            cell.clock.advance(0.3)
            links = links_m(cell)
            droop_m[stiffness] = links[0, 2] - links[5, 2]
    assert droop_m[soft] > 1.3 * droop_m[stiff]
