"""Laws of the bins and the object: the object stays in, walls hold, a grasp holds."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from sims.scenes.bin_relocation import BIN_HALF_SIZE_M, BIN_OFFSET_M, OBJECT_HALF_SIZE_M
from tests.sims.scene_cells import QUARTER_TURN, STIFF, approach, require_little_penetration

LYING = np.array((0.5, BIN_OFFSET_M, OBJECT_HALF_SIZE_M, 0.0, 0.0, 0.0, 1.0))


@pytest.fixture
def cell():
    with rk.make_workcell("mujoco-bin-relocation") as built:
        built.reset(0)
        built.robot.set_compliance(STIFF)
        yield built


def go(cell, position_m, gripper=None, duration_s=1.5):
    return approach(cell, position_m, duration_s, QUARTER_TURN, gripper)


def test_a_grasped_object_is_lifted_over_the_wall_and_falls_into_the_other_bin(cell):
    go(cell, (0.5, BIN_OFFSET_M, 0.1))
    go(cell, (0.5, BIN_OFFSET_M, 0.022))
    assert go(cell, (0.5, BIN_OFFSET_M, 0.022), gripper=0.0).gripper.is_grasping
    require_little_penetration(cell)
    lifted = go(cell, (0.5, BIN_OFFSET_M, 0.115)).poses["object"].pose_in_base
    assert lifted[2] > 0.09
    go(cell, (0.5, -BIN_OFFSET_M, 0.115), duration_s=2.5)
    landed = go(cell, (0.5, -BIN_OFFSET_M, 0.115), gripper=1.0).poses["object"].pose_in_base
    np.testing.assert_allclose(landed[:2], (0.5, -BIN_OFFSET_M), atol=0.02)
    assert landed[2] == pytest.approx(OBJECT_HALF_SIZE_M, abs=1e-3)


def test_an_object_that_is_thrown_at_a_wall_stays_in_the_bin(cell):
    cell.reset(0, {"object": LYING})
    joint = cell.world.model.joint("object").dofadr[0]
    for velocity_m_s in ((0.0, 1.0, 0.0), (0.0, -1.0, 0.0), (1.0, 0.5, 0.0)):
        cell.world.data.qvel[joint : joint + 3] = velocity_m_s
        cell.clock.advance(1.0)
        off = np.abs(cell.get_state().poses["object"].pose_in_base[:3] - LYING[:3])
        assert (off[:2] < BIN_HALF_SIZE_M[:2]).all()
        assert off[2] < 0.01


def test_the_bins_do_not_give_way_to_the_gripper(cell):
    bins = {name: pose.pose_in_base for name, pose in cell.get_state().poses.items() if name != "object"}
    go(cell, (0.5, BIN_OFFSET_M, 0.03))
    state = go(cell, (0.5, 0.0, 0.03))
    assert np.linalg.norm(state.robot.wrench_in_tcp[:3]) > 10.0
    assert state.robot.tcp_pose_in_base[1] > 0.03, "the wall stops the fingers"
    for name, pose in bins.items():
        np.testing.assert_array_equal(state.poses[name].pose_in_base, pose)
