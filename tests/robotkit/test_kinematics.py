"""Laws of forward kinematics: products of exponentials, derivatives, whole paths, and what a chain may not say."""

from __future__ import annotations

import time
from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from robotkit import spatial
from robotkit.drivers.fake import chain as fake_chain
from robotkit.drivers.fake import kinematics as fake_kinematics
from robotkit.errors import InvalidMessage
from robotkit.kinematics import ForwardKinematics
from robotkit.schema.kinematics import KinematicChain, KinematicJoint, LinkCapsule, Plane

HERE = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
seeds = st.integers(0, 2**32 - 1)


def random_pose(rng: np.random.Generator) -> np.ndarray:
    return spatial.make_pose(rng.uniform(-0.5, 0.5, 3), spatial.quaternion_from_rotation_vector(rng.uniform(-2, 2, 3)))


def random_chain(rng: np.random.Generator, count: int = 6) -> KinematicChain:
    axes = rng.normal(size=(count, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    kinds = rng.choice(("revolute", "revolute", "prismatic", "fixed"), size=count)
    joints = tuple(
        KinematicJoint(origin_in_parent=random_pose(rng), axis=axis, kind=str(kind), index=int(index))
        for axis, kind, index in zip(axes, kinds, rng.permutation(count), strict=True)
    )
    capsules = tuple(
        LinkCapsule(name=f"link {i}", link=i, start_in_link_m=rng.uniform(-0.3, 0.3, 3),
                    end_in_link_m=rng.uniform(-0.3, 0.3, 3), radius_m=0.05)
        for i in range(count + 1)
    )  # fmt: skip
    return KinematicChain(joints=joints, tcp_in_last_link=random_pose(rng), capsules=capsules)


def transform(pose: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = spatial.matrix_from_quaternion(pose[3:]), pose[:3]
    return matrix


def links_by_exponentials(chain: KinematicChain, joints: np.ndarray) -> list[np.ndarray]:
    """Each link's frame, from matrix exponentials of the joints' twists."""
    steps = []
    for joint in chain.joints:
        x, y, z = joint.axis
        twist = np.zeros((4, 4))
        if joint.kind == "revolute":
            twist[:3, :3] = ((0, -z, y), (z, 0, -x), (-y, x, 0))
        elif joint.kind == "prismatic":
            twist[:3, 3] = joint.axis
        steps.append(transform(joint.origin_in_parent) @ expm(twist * joints[joint.index]))
    return [reduce(np.matmul, steps[:count], np.eye(4)) for count in range(len(steps) + 1)]


@given(seeds)
def test_the_tool_and_the_capsules_are_where_exponentials_bring_them(seed):
    rng = np.random.default_rng(seed)
    chain = random_chain(rng)
    joints = rng.uniform(-3.0, 3.0, chain.joint_count)
    kinematics, links = ForwardKinematics(chain), links_by_exponentials(chain, joints)
    tip = links[-1] @ transform(chain.tcp_in_last_link)
    np.testing.assert_allclose(transform(kinematics.tcp_pose(joints)), tip, atol=1e-12)
    for capsule, (start, end) in zip(chain.capsules, kinematics.capsule_ends(joints[None])[0], strict=True):
        np.testing.assert_allclose(start, (links[capsule.link] @ [*capsule.start_in_link_m, 1.0])[:3], atol=1e-12)
        np.testing.assert_allclose(end, (links[capsule.link] @ [*capsule.end_in_link_m, 1.0])[:3], atol=1e-12)


@given(seeds)
def test_the_jacobian_is_the_derivative_of_the_pose(seed):
    rng = np.random.default_rng(seed)
    kinematics = ForwardKinematics(random_chain(rng))
    joints, step = rng.uniform(-3.0, 3.0, kinematics.joint_count), 1e-6
    jacobian = kinematics.jacobian(joints)
    for column, change in zip(jacobian.T, step * np.eye(kinematics.joint_count), strict=True):
        before, after = kinematics.tcp_pose(joints - change), kinematics.tcp_pose(joints + change)
        turn = spatial.rotation_vector_between(before[3:], after[3:])
        np.testing.assert_allclose(np.r_[after[:3] - before[:3], turn] / (2 * step), column, atol=1e-7)


@given(seeds)
def test_a_path_is_its_configurations_one_by_one(seed):
    rng = np.random.default_rng(seed)
    kinematics = ForwardKinematics(random_chain(rng))
    path = rng.uniform(-3.0, 3.0, (9, kinematics.joint_count))
    np.testing.assert_allclose(kinematics.tcp_poses(path), [kinematics.tcp_pose(joints) for joints in path], atol=1e-14)


@given(seeds)
def test_no_point_of_the_arm_travels_farther_than_the_bound(seed):
    rng = np.random.default_rng(seed)
    chain = random_chain(rng)
    kinematics = ForwardKinematics(chain)
    start, goal = rng.uniform(-2.0, 2.0, (2, chain.joint_count))
    path = start + np.linspace(0.0, 1.0, 400)[:, None] * (goal - start)
    points = kinematics.capsule_ends(path).reshape(len(path), -1, 3)
    points = np.concatenate((points, kinematics.tcp_poses(path)[:, None, :3]), axis=1)
    travelled_m = np.linalg.norm(np.diff(points, axis=0), axis=-1).sum(axis=0)
    way_m, turn_rad = kinematics.path_bounds(start, goal)
    assert travelled_m.max() <= way_m + 1e-9
    quaternions = kinematics.tcp_poses(path)[:, 3:]
    steps_rad = [spatial.angle_between(a, b) for a, b in pairwise(quaternions)]
    assert sum(steps_rad) <= turn_rad + 1e-6


@pytest.mark.parametrize("dof", [6, 7, 9])
def test_the_chain_of_the_fake_arm_is_the_fake_arm(dof):
    rng, kinematics = np.random.default_rng(0), ForwardKinematics(fake_chain.chain(dof))
    for joints in rng.uniform(-3.0, 3.0, (50, dof)):
        expected, found = fake_kinematics.tcp_pose(joints), kinematics.tcp_pose(joints)
        np.testing.assert_allclose(found[:3], expected[:3], atol=1e-12)
        assert abs(found[3:] @ expected[3:]) == pytest.approx(1.0, abs=1e-12)
        np.testing.assert_allclose(kinematics.jacobian(joints), fake_kinematics.jacobian(joints), atol=1e-12)


@given(seeds)
def test_half_turns_keep_their_quaternion(seed):
    """Where one component vanishes, another one has to be divided by: here a half turn is made of two turns."""
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    joints = tuple(KinematicJoint(origin_in_parent=HERE, axis=axis, index=index) for index in range(2))
    part = rng.uniform(-3.0, 3.0)
    pose = ForwardKinematics(KinematicChain(joints=joints, tcp_in_last_link=HERE)).tcp_pose(
        np.array((part, np.pi - part))
    )
    assert abs(pose[3:] @ [*axis, 0.0]) == pytest.approx(1.0, abs=1e-12)


def test_the_bounds_of_a_path_are_reached():
    """A straight arm of 1 m that turns, on a slide that is run out by 2 m at the goal alone."""
    slide = KinematicJoint(origin_in_parent=HERE, axis=(1, 0, 0), kind="prismatic", index=1)
    hinge = KinematicJoint(origin_in_parent=HERE, axis=(0, 0, 1), index=0)
    tool = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    capsule = LinkCapsule(name="arm", link=2, start_in_link_m=(0, 0, 0), end_in_link_m=(1, 0, 0), radius_m=0.25)
    start, goal = np.zeros(2), np.array((0.5, 2.0))
    for chain, way_m in (
        (KinematicChain(joints=(hinge, slide), tcp_in_last_link=tool), 0.5 * 3.0 + 2.0),
        (KinematicChain(joints=(slide, hinge), tcp_in_last_link=tool), 0.5 * 1.0 + 2.0),
        (KinematicChain(joints=(hinge, slide), tcp_in_last_link=HERE, capsules=(capsule,)), 0.5 * 3.25 + 2.0),
    ):
        assert ForwardKinematics(chain).path_bounds(start, goal) == pytest.approx((way_m, 0.5))
        assert ForwardKinematics(chain).path_bounds(goal, start) == pytest.approx((way_m, 0.5))


def test_a_vector_of_another_length_is_refused():
    kinematics = ForwardKinematics(fake_chain.chain(7))
    for joints in (np.zeros(6), np.zeros(8)):
        with pytest.raises(ValueError, match="shape"):
            kinematics.tcp_pose(joints)


def test_it_is_cheap_enough_for_every_command():
    """60 us for one configuration and 2 ms for a path of 100, ten times that on a busy machine."""
    kinematics, rng = ForwardKinematics(random_chain(np.random.default_rng(0), 7)), np.random.default_rng(1)
    path = rng.uniform(-1.0, 1.0, (100, 7))
    assert fastest_s(lambda: kinematics.tcp_pose(path[0])) < 600e-6
    assert fastest_s(lambda: kinematics.tcp_poses(path)) < 20e-3


def fastest_s(call) -> float:
    times_s = []
    for _ in range(50):
        start_s = time.perf_counter()
        call()
        times_s.append(time.perf_counter() - start_s)
    return min(times_s)


def test_what_a_chain_may_not_say():
    joint = KinematicJoint(origin_in_parent=HERE, axis=(0, 0, 1), index=0)
    capsule = LinkCapsule(name="a", link=1, start_in_link_m=(0, 0, 0), end_in_link_m=(0, 0, 1), radius_m=0.1)
    KinematicChain(joints=(joint,), tcp_in_last_link=HERE, capsules=(capsule,))
    wrong = {
        "capsules": [(capsule, capsule), (capsule.model_copy(update={"link": 2}),)],
        "joints": [(), (joint, joint), (joint.model_copy(update={"index": 1}),)],
        "ignored_pairs": [(("a", "b"),)],
    }
    for name, values in wrong.items():
        for value in values:
            fields = {"joints": (joint,), "tcp_in_last_link": HERE, "capsules": (capsule,), name: value}
            with pytest.raises(InvalidMessage):
                KinematicChain(**fields)


@pytest.mark.parametrize("axis", [(0, 0, 0), (0, 0, 1.01), (1, 1, 0), (0, 0, np.nan)])
def test_directions_have_length_one(axis):
    with pytest.raises(InvalidMessage):
        KinematicJoint(origin_in_parent=HERE, axis=axis, index=0)
    with pytest.raises(InvalidMessage):
        Plane(name="table", point_in_base_m=(0, 0, 0), normal_in_base=axis)


@pytest.mark.parametrize("radius_m", [0.0, -0.1, np.inf])
def test_a_capsule_has_a_radius(radius_m):
    with pytest.raises(InvalidMessage):
        LinkCapsule(name="a", link=0, start_in_link_m=(0, 0, 0), end_in_link_m=(0, 0, 1), radius_m=radius_m)


def test_a_chain_comes_back_from_json():
    chain = random_chain(np.random.default_rng(2))
    assert KinematicChain.model_validate_json(chain.model_dump_json()) == chain
