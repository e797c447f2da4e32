"""The Franka arms' chain against the FR3 of the protocol simulator: frames, meshes inside capsules, usual postures."""

from __future__ import annotations

import functools
from pathlib import Path

import franky_sim
import mujoco
import numpy as np
import pytest

import robotkit as rk
from robotkit import spatial
from robotkit.drivers.franka import kinematics as franka
from robotkit.drivers.franka.config import _RANGES
from robotkit.kinematics import ForwardKinematics
from robotkit.safety.body import BodyBounds
from robotkit.schema.kinematics import Plane
from robotkit.spatial import distance_between, xyzw_from_wxyz
from sims.models.kinematics import panda_chain
from tests.support.franky_sim import shared_simulator
from tests.support.franky_sim.cells import franka_cell, robot_options

HERE = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
READY = np.array((0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4))
SERL_RESET = np.array((0.0, 0.0, 0.0, -1.9, 0.0, 2.0, 0.0))
FACE_DOWN = np.array((0.0, -0.785, 0.0, -2.35, 0.0, 1.57, np.pi / 4))


@pytest.fixture
def fr3():
    """The simulator's own model of the arm with its hand."""
    return compiled_fr3()


@functools.cache
def compiled_fr3():
    spec = mujoco.MjSpec.from_file(str(Path(franky_sim.__file__).parent / "assets" / "fr3.xml"))
    spec.meshdir = "meshes"
    model = spec.compile()
    return model, mujoco.MjData(model)


def postures(count: int) -> np.ndarray:
    low, high, _ = _RANGES["fr3"]
    return np.random.default_rng(0).uniform(low, high, (count, 7))


def test_links_hand_and_tool_are_where_the_simulator_has_them(fr3):
    model, data = fr3
    chain = franka.chain(franka.HAND_TCP_IN_FLANGE)
    kinematics, hand = ForwardKinematics(chain), model.body("hand").id
    for joints in postures(100):
        set_joints(model, data, joints)
        frames = kinematics.frames(joints[None])[0]
        for number in range(8):
            np.testing.assert_allclose(frames[number, :3, 3], data.body(f"fr3_link{number}").xpos, atol=1e-9)
        hand_pose = np.r_[data.xpos[hand], xyzw_from_wxyz(data.xquat[hand])]
        tcp = spatial.compose(hand_pose, np.array((0.0, 0.0, 0.1034, 0.0, 0.0, 0.0, 1.0)))
        pose = kinematics.tcp_pose(joints)
        np.testing.assert_allclose(pose[:3], tcp[:3], atol=1e-9)
        assert spatial.angle_between(pose[3:], tcp[3:]) < 1e-6


def set_joints(model, data, joints):
    for number, position in enumerate(joints, start=1):
        data.qpos[model.joint(f"fr3_joint{number}").qposadr[0]] = position
    mujoco.mj_kinematics(model, data)


def test_the_capsules_enclose_the_links(fr3):
    """Each triangle of each collision mesh lies in one capsule, which is convex."""
    model, data = fr3
    chain = franka.chain(franka.HAND_TCP_IN_FLANGE, has_hand=True)
    joints = postures(1)[0]
    set_joints(model, data, joints)
    ends = ForwardKinematics(chain).capsule_ends(joints[None])[0]
    for number in range(9):
        body = "hand" if number == 8 else f"fr3_link{number}"
        own = [
            i for i, c in enumerate(chain.capsules) if (c.name == "hand") == (number == 8) and c.link == min(number, 7)
        ]
        triangles = mesh_triangles(model, data, model.body(body).id)
        outside_m = [distance_to_segment(triangles, *ends[i]).max(axis=1) - chain.capsules[i].radius_m for i in own]
        assert np.min(outside_m, axis=0).max() <= 0.0, body


def mesh_triangles(model, data, body: int) -> np.ndarray:
    """Corners, (triangles, 3, 3), in the base, of the body's mesh for collisions."""
    index = next(i for i in np.flatnonzero(model.geom_bodyid == body) if model.geom_contype[i])
    mesh = model.geom_dataid[index]
    vertices = model.mesh_vert[model.mesh_vertadr[mesh] :][: model.mesh_vertnum[mesh]]
    faces = model.mesh_face[model.mesh_faceadr[mesh] :][: model.mesh_facenum[mesh]]
    corners = vertices @ data.geom_xmat[index].reshape(3, 3).T + data.geom_xpos[index]
    return corners[faces]


def distance_to_segment(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    along = end - start
    share = np.clip((points - start) @ along / (along @ along), 0.0, 1.0)
    return np.linalg.norm(points - start - share[..., None] * along, axis=-1)


@pytest.mark.parametrize("joints", [READY, SERL_RESET, FACE_DOWN], ids=["ready", "serl", "down"])
@pytest.mark.parametrize("has_hand", [False, True])
def test_usual_postures_are_clear_of_the_table_and_of_themselves(joints, has_hand):
    table = Plane(name="table", point_in_base_m=(0, 0, 0), normal_in_base=(0, 0, 1), clearance_m=0.01)
    bounds = BodyBounds(franka.chain(franka.HAND_TCP_IN_FLANGE, has_hand=has_hand), None, (table,), 0.03, 0.0)
    bounds.check_joints(joints)


def test_the_panda_has_the_same_joints():
    real, simulated = ForwardKinematics(franka.chain(HERE)), ForwardKinematics(panda_chain())
    joints = postures(20)
    np.testing.assert_allclose(real.frames(joints), simulated.frames(joints), atol=1e-12)


def test_the_chain_agrees_with_what_the_arm_and_its_maker_s_library_report():
    """The simulator sends the pose of the hand's tool, libfranka's model computes the Jacobian."""
    kinematics = ForwardKinematics(franka.chain(franka.HAND_TCP_IN_FLANGE))
    with rk.make_robot("franka", **robot_options(shared_simulator().host)) as arm:
        state = arm.get_state()
    pose = kinematics.tcp_pose(state.joint_positions_rad)
    np.testing.assert_allclose(pose[:3], state.tcp_pose_in_base[:3], atol=1e-4)
    assert spatial.angle_between(pose[3:], state.tcp_pose_in_base[3:]) < 1e-3
    np.testing.assert_allclose(kinematics.jacobian(state.joint_positions_rad), state.jacobian_in_base, atol=1e-3)


def test_the_connected_arm_tells_the_tool_that_its_control_box_has():
    """What the box has as end effector is only known when it is connected; the bounds on the arm follow it."""
    cell = rk.make_workcell(
        franka_cell(shared_simulator().host), **{"robot.tcp_in_nominal_end_effector": [0, 0, 0.15, 0, 0, 0, 1]}
    )
    with cell:
        cell.robot.recover()  # another test may have left the simulator in a reflex
        state = cell.robot.get_state()
        kinematics = ForwardKinematics(cell.robot.spec.kinematics)
        assert distance_between(kinematics.tcp_pose(state.joint_positions_rad), state.tcp_pose_in_base) < 1e-5
        with pytest.raises(rk.OutsideWorkspace):
            cell.robot.move_to_joint_positions(state.joint_positions_rad + np.array((1.4, 0, 0, 0, 0, 0, 0)))
