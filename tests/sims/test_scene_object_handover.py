"""Laws of the scene of the handover: what the arms may reach, and that a grip at one end holds the bar."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from sims.models.kinematics import panda_chain
from sims.scenes.object_handover import BASE_DISTANCE_M, WORKSPACE
from tests.sims.scene_cells import DOWN, STIFF, approach, require_little_penetration

GRIP_M = np.array((0.265, 0.1, 0.018))
"""The right arm's end of the bar at its home, in that arm's frame."""


@pytest.fixture
def giver():
    with rk.make_workcell("mujoco-object-handover-right") as cell:
        cell.reset(0)
        cell.robot.set_compliance(STIFF)
        yield cell


def test_the_tools_boxes_are_as_far_apart_as_two_hands_are_thick(giver):
    gap_m = BASE_DISTANCE_M - 2.0 * (WORKSPACE.position_max_m[0] + giver.limits.measured_margin_m)
    hand = next(capsule for capsule in panda_chain().capsules if capsule.name == "gripper")
    assert gap_m > 2.0 * hand.radius_m


def touching(world):
    """Pairs of bodies of different arms that are in contact."""
    pairs = [[world.model.body(world.model.geom_bodyid[geom]).name for geom in contact.geom]
             for contact in world.data.contact[: world.data.ncon]]  # fmt: skip
    return [pair for pair in pairs if {name.partition("/")[0] for name in pair} == {"left", "right"}]


@pytest.mark.parametrize("turn_rad", [-0.45, 0.45], ids=str)
def test_arms_that_are_sent_as_far_towards_each_other_as_their_limits_allow_do_not_touch(giver, turn_rad):
    with rk.make_workcell_in(giver.world, "mujoco-object-handover-left") as taker:
        giver.reset(0)
        taker.robot.set_compliance(STIFF)
        turned = rk.spatial.quaternion_from_rotation_vector(np.array((0.1, 0.05, turn_rad)))
        for height_m in (0.45, 0.05, 0.3):
            goal = rk.spatial.make_pose(np.array((0.43, 0.25, height_m)), DOWN)
            goal = np.append(goal[:3], rk.spatial.compose(np.array((0, 0, 0, *turned)), goal)[3:])
            for _ in range(25):
                for cell, side in ((giver, 1.0), (taker, -1.0)):  # the same place of the table for both
                    here = cell.get_state().robot.tcp_pose_in_base
                    target = goal * np.array((1.0, side, 1.0, 1.0, 1.0, 1.0, 1.0))
                    share = min(1.0, 0.06 / max(float(np.linalg.norm(target[:3] - here[:3])), 1e-9))
                    cell.robot.send(rk.PoseCommand(tcp_pose_in_base=rk.spatial.interpolate(here, target, share)))
                giver.clock.advance(0.1)
                assert not touching(giver.world)
            tools = [cell.get_state().robot.tcp_pose_in_base for cell in (giver, taker)]
            assert min(tool[0] for tool in tools) > 0.42, "both are there"
            assert tools[0][1] == pytest.approx(-tools[1][1], abs=0.01)


def test_nothing_drifts_in_two_seconds_of_rest(giver):
    before = giver.get_state()
    giver.clock.advance(2.0)
    after = giver.get_state()
    for name in ("object", "tray"):
        np.testing.assert_allclose(after.poses[name].pose_in_base[:3], before.poses[name].pose_in_base[:3], atol=2e-4)
    np.testing.assert_allclose(after.robot.wrench_in_tcp[:3], 0.0, atol=0.1)


def test_a_grip_at_its_end_lifts_the_bar_level_and_holds_it(giver):
    approach(giver, GRIP_M + np.array((0.0, 0.0, 0.1)), 2.0)
    approach(giver, GRIP_M, 1.5)
    giver.gripper.close()
    assert approach(giver, GRIP_M, 0.6).gripper.is_grasping
    require_little_penetration(giver)
    high_m = GRIP_M + np.array((0.1, 0.0, 0.2))
    lifted, held = approach(giver, high_m, 3.0), approach(giver, high_m, 3.0)
    before, after = (state.poses["object"].pose_in_base for state in (lifted, held))
    assert after[2] > 0.15
    assert np.linalg.norm(after[:3] - before[:3]) < 0.005, "it does not slip"
    along = rk.spatial.matrix_from_quaternion(after[3:])[:, 0]
    assert abs(along[2]) < 0.2, "it does not hang down"


def test_the_overview_shows_both_arms_and_the_side_camera_bar_and_tray(giver):
    model, data = giver.world.model, giver.world.data
    for camera, names in (("overview", ("left/link4", "right/link4", "object", "tray")), ("side", ("object", "tray"))):
        number = model.camera(camera).id
        axes, fovy = data.cam_xmat[number].reshape(3, 3), np.radians(model.cam_fovy[number])
        for name in names:
            x, y, z = axes.T @ (data.body(name).xpos - data.cam_xpos[number])
            assert z < 0.0
            assert max(abs(x), abs(y)) < -z * np.tan(fovy / 2.0), (camera, name)
