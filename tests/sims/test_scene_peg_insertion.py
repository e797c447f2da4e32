"""Laws of the peg and its socket: the fit, the grasp, and contact under load."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

import robotkit as rk
from robotkit.spatial import relative_pose
from sims.scenes.peg_insertion import HOLE_DEPTH_M, PEG_HALF_WIDTH_M, PEG_REACH_M
from tests.sims.scene_cells import STIFF, approach, push, require_little_penetration

CELL = "mujoco-peg-insertion"


def opened(**options):
    return rk.make_workcell(CELL, **{f"world.scene_options.{key}": value for key, value in options.items()})


def tip_in_socket_m(state):
    return relative_pose(state.poses["socket"].pose_in_base, state.poses["peg"].pose_in_base)[:3]


def insert(cell, beside_m=0.0):
    """Go above the hole, or beside it, and down until something stops the peg."""
    state = cell.reset(0)
    cell.robot.set_compliance(STIFF)
    above = state.poses["socket"].pose_in_base[:3] + np.array((beside_m, 0.0, PEG_REACH_M + 0.005))
    approach(cell, above, 3.0)
    return approach(cell, above - np.array((0.0, 0.0, 0.045)), 2.0)


@pytest.mark.parametrize("shape", ["square", "round"])
def test_a_centred_peg_reaches_the_bottom_and_resists_twenty_newtons(shape):
    with opened(shape=shape) as cell:
        assert tip_in_socket_m(insert(cell))[2] == pytest.approx(-HOLE_DEPTH_M, abs=3e-4)
        # Clipped at 1 cm, 2000 N/m give 20 N.
        cell.robot.set_compliance(rk.ComplianceParams())
        for direction in ((0.0, 0.0, -0.05), (0.05, 0.0, 0.0), (0.0, -0.05, 0.0)):
            state = push(cell, np.array(direction))
            assert np.linalg.norm(state.robot.wrench_in_tcp[:3]) == pytest.approx(20.0, rel=0.15)
            require_little_penetration(cell)
        assert tip_in_socket_m(state)[2] < -0.9 * HOLE_DEPTH_M


def test_a_peg_beside_the_hole_stays_out():
    with opened() as cell:
        state = insert(cell, beside_m=0.005)
        assert tip_in_socket_m(state)[2] > -3e-4
        require_little_penetration(cell)


@pytest.mark.parametrize("clearance_m", [0.0005, 0.002])
def test_the_gap_between_peg_and_wall_is_what_was_asked_for(clearance_m):
    with opened(clearance_m=clearance_m, grasp="welded") as cell:
        model, data = cell.world.model, cell.world.data
        bottom = np.array((*cell.reset(0).poses["socket"].pose_in_base[:2], 0.03))
        socket = model.body("socket").id
        for turn in range(4):
            sideways = np.array((np.cos(turn * np.pi / 2), np.sin(turn * np.pi / 2), 0.0))
            geom = np.zeros(1, np.int32)
            hit = mujoco.mj_ray(model, data, bottom, sideways, None, 1, -1, geom)
            assert model.geom_bodyid[geom[0]] == socket
            assert hit == pytest.approx(PEG_HALF_WIDTH_M + clearance_m, abs=1e-9)


def test_open_fingers_drop_the_peg_unless_it_is_welded():
    falls = {}
    for grasp in ("friction", "welded"):
        with opened(grasp=grasp) as cell:
            start = cell.reset(0)
            end = cell.step(None, rk.GripperCommand(position=1.0), 1.0)
            falls[grasp] = start.poses["peg"].pose_in_base[2] - end.poses["peg"].pose_in_base[2]
    assert falls["friction"] > 0.05
    assert abs(falls["welded"]) < 1e-3


def test_a_peg_that_is_placed_elsewhere_is_not_held():
    with opened(grasp="friction") as cell:
        lying = cell.world.scene.object_homes_in_base["peg"]
        state = cell.reset(0, {"peg": lying})
        assert state.gripper.target_position == 1.0
        cell.clock.advance(1.0)
        np.testing.assert_allclose(cell.get_state().poses["peg"].pose_in_base[:3], lying[:3], atol=1e-3)


def test_the_socket_stands_where_it_is_put_and_cannot_be_pushed_away():
    with opened(grasp="welded") as cell:
        pose = np.array((0.45, 0.05, 0.05, 0.0, 0.0, np.sin(0.2), np.cos(0.2)))
        cell.reset(0, {"socket": pose})
        cell.robot.set_compliance(STIFF)
        approach(cell, pose[:3] + np.array((-0.04, 0.0, PEG_REACH_M - 0.02)), 4.0)
        state = push(cell, np.array((0.05, 0.0, 0.0)))
        assert np.linalg.norm(state.robot.wrench_in_tcp[:3]) > 10.0
        np.testing.assert_array_equal(state.poses["socket"].pose_in_base, pose)
