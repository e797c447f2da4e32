"""Laws of the pan: the egg rests in it, its walls hold it, and its front end is bent without a gap."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

import robotkit as rk
from robotkit.spatial import compose, quaternion_from_rotation_vector, relative_pose
from sims.scenes.egg_flip import EGG_HALF_HEIGHT_M, FLOOR_X_M, HALF_WIDTH_M, LIP_ANGLE_RAD, LIP_RADIUS_M
from tests.sims.scene_cells import require_little_penetration


@pytest.fixture
def cell():
    with rk.make_workcell("mujoco-egg-flip") as built:
        built.reset(0)
        yield built


def in_pan(state):
    return relative_pose(state.poses["pan"].pose_in_base, state.poses["egg"].pose_in_base)


def test_the_egg_rests_in_the_pan_and_the_arm_carries_both(cell):
    before = cell.get_state()
    cell.clock.advance(2.0)
    after = cell.get_state()
    np.testing.assert_allclose(in_pan(after)[:3], in_pan(before)[:3], atol=2e-3)
    assert in_pan(after)[2] == pytest.approx(EGG_HALF_HEIGHT_M, abs=5e-4)
    np.testing.assert_allclose(after.robot.tcp_pose_in_base[:3], (0.4, 0.0, 0.3), atol=1e-3)
    require_little_penetration(cell)


@pytest.mark.parametrize("pitch_rad", [-0.4, 0.4], ids=["to the back", "to the front"])
def test_an_egg_in_a_tilted_pan_slides_to_its_end_and_stays_in_it(cell, pitch_rad):
    start = cell.get_state().robot.tcp_pose_in_base
    for share in np.linspace(0.1, 1.0, 20):
        turn = quaternion_from_rotation_vector(np.array((0.0, share * pitch_rad, 0.0)))
        target = np.append(start[:3], compose(np.array((0, 0, 0, *turn)), start)[3:])
        state = cell.step(rk.PoseCommand(tcp_pose_in_base=target), None, 0.1)
    x, y, z = in_pan(state)[:3]
    assert (x < FLOOR_X_M[0] + 0.03) if pitch_rad < 0.0 else (x > FLOOR_X_M[1])
    assert abs(y) < HALF_WIDTH_M
    assert 0.0 < z < 0.03


def test_the_front_end_is_bent_in_one_sheet_from_the_floor_to_its_edge(cell):
    """A ray from the middle of the bend meets the sheet at its radius, at every angle."""
    model, data = cell.world.model, cell.world.data
    pan = model.body("pan").id
    axes = data.xmat[pan].reshape(3, 3)
    middle_m = data.xpos[pan] + axes @ (FLOOR_X_M[1], 0.0, LIP_RADIUS_M)
    for angle in np.linspace(0.0, LIP_ANGLE_RAD - 0.02, 50):
        direction = axes @ (np.sin(angle), 0.0, -np.cos(angle))
        met = np.zeros(1, np.int32)
        distance_m = mujoco.mj_ray(model, data, middle_m, direction, None, 1, -1, met)
        assert model.geom_bodyid[met[0]] == pan
        assert distance_m == pytest.approx(LIP_RADIUS_M, abs=1e-3)


def test_the_friction_is_an_option():
    with rk.make_workcell("mujoco-egg-flip", **{"world.scene_options.friction": 0.2}) as cell:
        assert cell.world.model.geom("egg").friction[0] == 0.2
    with pytest.raises(rk.InvalidConfiguration, match="friction"):
        rk.make_workcell("mujoco-egg-flip", **{"world.scene_options.friction": 2.0})
