"""The simulated Panda's chain against MuJoCo: where the tool is, how near the links are, what the cells can reach."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

import robotkit as rk
from robotkit.kinematics import ForwardKinematics
from robotkit.safety.body import BodyBounds
from robotkit.schema.kinematics import Plane
from robotkit.spatial import xyzw_from_wxyz
from sims.models import arm_spec
from sims.models.kinematics import panda_chain
from sims.models.panda import LINKS

RANGES_RAD = np.array([link.joint_range_rad for link in LINKS if link.joint_range_rad is not None])
CELLS = ("bin-relocation", "cable-routing", "pcb-insertion", "peg-insertion", "pick-cube",
         "ram-insertion", "usb-pickup-insertion")  # fmt: skip


@pytest.fixture(scope="module")
def simulated():
    model = arm_spec("primitive", "3.x").compile()
    return model, mujoco.MjData(model)


def random_postures(count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(*RANGES_RAD.T, (count, len(RANGES_RAD)))


def test_the_tool_is_where_mujoco_has_it(simulated):
    model, data = simulated
    kinematics, quaternion = ForwardKinematics(panda_chain()), np.zeros(4)
    for joints in random_postures(200):
        data.qpos[:7] = joints
        mujoco.mj_kinematics(model, data)
        mujoco.mju_mat2Quat(quaternion, data.site("pinch").xmat)
        pose = kinematics.tcp_pose(joints)
        np.testing.assert_allclose(pose[:3], data.site("pinch").xpos, atol=1e-9)
        assert abs(pose[3:] @ xyzw_from_wxyz(quaternion)) == pytest.approx(1.0, abs=1e-9)


def test_links_are_as_near_as_mujoco_has_them(simulated):
    model, data = simulated
    chain = panda_chain()
    far_m, arm = 5.0, [i for i in range(model.ngeom) if model.geom_bodyid[i] <= model.body("link7").id]
    links = [int(model.body(model.geom_bodyid[i]).name[-1]) for i in arm]
    pairs = [(a, b) for a in range(len(arm)) for b in range(a) if abs(links[a] - links[b]) > 2]
    only_links = chain.model_copy(update={"capsules": chain.capsules[:-1]})
    bounds = BodyBounds(only_links, None, (), far_m, 0.0)
    for joints in random_postures(200):
        data.qpos[:7] = joints
        mujoco.mj_kinematics(model, data)
        nearest_m = min(mujoco.mj_geomDistance(model, data, arm[a], arm[b], 2 * far_m, None) for a, b in pairs)
        assert far_m - bounds.depth(joints).distance_m == pytest.approx(nearest_m, abs=1e-6)


def test_the_base_of_the_gripper_is_enclosed(simulated):
    model, data = simulated
    data.qpos[:] = 0.0
    mujoco.mj_kinematics(model, data)
    chain = panda_chain()
    capsule = chain.capsules[-1]
    start, end = ForwardKinematics(chain).capsule_ends(np.zeros((1, 7)))[0, -1]
    for body in ("base_mount", "base"):
        for index in np.flatnonzero(model.geom_bodyid == model.body(body).id):
            size = model.geom_size[index]
            is_cylinder = model.geom_type[index] == mujoco.mjtGeom.mjGEOM_CYLINDER
            half = np.array((size[0], size[0], size[1])) if is_cylinder else size
            turns = np.linspace(0.0, 2 * np.pi, 36)
            ring = np.stack((np.cos(turns), np.sin(turns)), axis=1)
            edge = ring if is_cylinder else np.array([(a, b) for a in (-1, 1) for b in (-1, 1)])
            corners = np.array([(*xy, z) for xy in edge for z in (-1, 1)]) * half
            points = data.geom_xpos[index] + corners @ data.geom_xmat[index].reshape(3, 3).T
            share = np.clip((points - start) @ (end - start) / ((end - start) @ (end - start)), 0.0, 1.0)
            away_m = np.linalg.norm(points - start - share[:, None] * (end - start), axis=1)
            assert away_m.max() <= capsule.radius_m


@pytest.mark.parametrize("cell_name", CELLS)
def test_reset_postures_are_inside_box_table_and_clearance(cell_name):
    cell = rk.make_workcell(f"mujoco-{cell_name}")
    home = cell.robot.spec.reset_joint_positions_rad
    table = Plane(name="table", point_in_base_m=(0, 0, 0), normal_in_base=(0, 0, 1))
    bounds = BodyBounds(panda_chain(), cell.spec().limits.workspace, (table,), 0.02, 0.0)
    bounds.check_joints(home)
    assert bounds.depth(home).text == ""
