"""Laws of the pose arithmetic, held against scipy's Rotation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from robotkit import spatial
from robotkit.schema import WorkspaceBox

number = st.floats(-1.0, 1.0, allow_subnormal=False)
vectors = st.tuples(number, number, number).map(np.array)


@st.composite
def quaternions(draw):
    values = np.array(draw(st.tuples(number, number, number, number)))
    length = np.linalg.norm(values)
    assume(length > 1e-3)
    return values / length


@st.composite
def poses(draw):
    return np.concatenate((draw(vectors), draw(quaternions())))


@st.composite
def boxes(draw):
    corners = [np.sort(np.array((draw(vectors), draw(vectors))), axis=0) for _ in range(2)]
    return WorkspaceBox(
        position_min_m=corners[0][0],
        position_max_m=corners[0][1],
        reference_quaternion_xyzw=draw(quaternions()),
        rotation_vector_min_rad=corners[1][0] * 3,
        rotation_vector_max_rad=corners[1][1] * 3,
    )


def assert_same_pose(a, b, atol=1e-9):
    np.testing.assert_allclose(a[:3], b[:3], atol=atol)
    assert spatial.angle_between(a[3:], b[3:]) < max(atol, 1e-7)


def matrix(pose):
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = Rotation.from_quat(pose[3:]).as_matrix(), pose[:3]
    return result


@given(quaternions())
def test_orders_round_trip(q):
    np.testing.assert_array_equal(spatial.xyzw_from_wxyz(spatial.wxyz_from_xyzw(q)), q)
    assert spatial.wxyz_from_xyzw(q)[0] == q[3]
    np.testing.assert_array_equal(spatial.xyzw_from_wxyz(np.stack([q, -q]))[1], spatial.xyzw_from_wxyz(-q))


@given(poses(), poses())
def test_compose_is_the_product_of_matrices(a, b):
    np.testing.assert_allclose(matrix(spatial.compose(a, b)), matrix(a) @ matrix(b), atol=1e-9)


@given(poses(), poses())
def test_inverse_and_relative(a, b):
    assert_same_pose(spatial.compose(a, spatial.inverse(a)), np.array([0, 0, 0, 0, 0, 0, 1.0]))
    assert_same_pose(spatial.compose(a, spatial.relative_pose(a, b)), b)


@given(quaternions(), quaternions())
def test_rotation_vector_between_is_scipys(a, b):
    turn = Rotation.from_quat(b) * Rotation.from_quat(a).inv()
    vector = spatial.rotation_vector_between(a, b)
    assert (Rotation.from_rotvec(vector).inv() * turn).magnitude() < 1e-7
    assert spatial.angle_between(a, b) == pytest.approx(turn.magnitude(), abs=1e-7)
    assert np.linalg.norm(vector) <= np.pi + 1e-12


@given(vectors, st.floats(1e-12, 3.0))
def test_exponential_and_logarithm(direction, angle):
    assume(np.linalg.norm(direction) > 1e-3)
    vector = direction / np.linalg.norm(direction) * angle
    q = spatial.quaternion_from_rotation_vector(vector)
    np.testing.assert_allclose(q, Rotation.from_rotvec(vector).as_quat(), atol=1e-12)
    np.testing.assert_allclose(spatial.rotation_vector_from_quaternion(q), vector, rtol=1e-9)


@given(poses(), vectors, vectors)
def test_integrate_delta_moves_and_turns_in_the_base_frame(pose, translation, rotation):
    moved = spatial.integrate_delta(pose, translation, rotation)
    np.testing.assert_allclose(moved[:3], pose[:3] + translation)
    np.testing.assert_allclose(spatial.rotation_vector_between(pose[3:], moved[3:]), rotation, atol=1e-7)
    assert np.linalg.norm(moved[3:]) == pytest.approx(1.0, abs=1e-12)


@given(quaternions(), vectors, vectors)
def test_rotate_vec6_turns_both_halves(q, linear, angular):
    turned = spatial.rotate_vec6(q, np.concatenate((linear, angular)))
    rotation = Rotation.from_quat(q)
    np.testing.assert_allclose(turned, np.concatenate((rotation.apply(linear), rotation.apply(angular))), atol=1e-9)
    np.testing.assert_allclose(
        spatial.rotate_vec6(q * [-1, -1, -1, 1], turned), np.concatenate((linear, angular)), atol=1e-9
    )


@given(poses(), poses(), st.floats(0.0, 1.0))
def test_interpolation_goes_straight_and_the_short_way(a, b, fraction):
    assert_same_pose(spatial.interpolate(a, b, 0.0), a)
    assert_same_pose(spatial.interpolate(a, b, 1.0), b)
    middle = spatial.interpolate(a, b, fraction)
    np.testing.assert_allclose(middle[:3], (1 - fraction) * a[:3] + fraction * b[:3], atol=1e-12)
    whole = spatial.angle_between(a[3:], b[3:])
    assert spatial.angle_between(a[3:], middle[3:]) == pytest.approx(fraction * whole, abs=1e-6)


@given(st.tuples(st.floats(-3.1, 3.1), st.floats(-1.57, 1.57), st.floats(-3.1, 3.1)).map(np.array))
def test_euler_angles_keep_their_signs(euler):
    """SERL's bug S20: its conversion flips the sign of pitch."""
    q = spatial.quaternion_from_euler_xyz(euler)
    roll, pitch, yaw = (Rotation.from_rotvec(axis * angle) for axis, angle in zip(np.eye(3), euler, strict=True))
    expected = (yaw * pitch * roll).as_matrix()
    np.testing.assert_allclose(spatial.matrix_from_quaternion(q), expected, atol=1e-12)
    back = spatial.quaternion_from_euler_xyz(spatial.euler_xyz_from_quaternion(q))
    assert spatial.angle_between(q, back) < 1e-7
    if abs(euler[1]) < 1.5:
        np.testing.assert_allclose(spatial.euler_xyz_from_quaternion(q), euler, atol=1e-7)


@pytest.mark.parametrize("pitch", [np.pi / 2, -np.pi / 2])
def test_euler_angles_at_the_poles_are_still_the_rotation(pitch):
    q = spatial.quaternion_from_euler_xyz(np.array([0.3, pitch, -0.4]))
    euler = spatial.euler_xyz_from_quaternion(q)
    assert spatial.angle_between(q, spatial.quaternion_from_euler_xyz(euler)) < 1e-6


@given(quaternions())
def test_matrices_round_trip(q):
    assert spatial.angle_between(q, spatial.quaternion_from_matrix(spatial.matrix_from_quaternion(q))) < 1e-7


@given(poses(), boxes())
def test_a_clipped_pose_is_inside_and_stays(pose, box):
    clipped = spatial.clip_pose(pose, box)
    assert spatial.is_inside(clipped, box)
    assert_same_pose(spatial.clip_pose(clipped, box), clipped)
    if spatial.is_inside(pose, box):
        np.testing.assert_allclose(clipped, pose, atol=1e-8)


@given(poses(), boxes(), st.floats(0.0, 1.0))
def test_a_clip_never_moves_a_pose_away_from_its_target(pose, box, fraction):
    """No point of the box is nearer in position; in rotation none is nearer than its rotation vector says."""
    clipped = spatial.clip_pose(pose, box)
    other_m = box.position_min_m + fraction * (box.position_max_m - box.position_min_m)
    assert spatial.distance_between(clipped, pose) <= np.linalg.norm(other_m - pose[:3]) + 1e-9
    vector = box.rotation_vector_min_rad + fraction * (box.rotation_vector_max_rad - box.rotation_vector_min_rad)
    asked = spatial.rotation_vector_between(box.reference_quaternion_xyzw, pose[3:])
    assert spatial.angle_between(clipped[3:], pose[3:]) <= np.linalg.norm(vector - asked) + 1e-7


def test_the_clip_does_not_go_the_long_way_round():
    box = WorkspaceBox(
        position_min_m=[-1, -1, -1],
        position_max_m=[1, 1, 1],
        reference_quaternion_xyzw=[1, 0, 0, 0],
        rotation_vector_min_rad=[0, 0, 0],
        rotation_vector_max_rad=[0, 0, 3.0],
    )
    # A turn of 3.2 rad is one of -3.08 rad: a clip of the latter alone would go back to 0.
    turn = spatial.quaternion_from_rotation_vector(np.array([0, 0, 3.2]))
    pose = spatial.compose(np.array([0, 0, 0, *turn]), np.array([0, 0, 0, 1.0, 0, 0, 0]))
    assert spatial.angle_between(spatial.clip_pose(pose, box)[3:], pose[3:]) == pytest.approx(0.2, abs=1e-9)


def test_a_gripper_that_points_down_is_not_turned_by_its_roll_of_pi():
    """SERL's bug S18: Euler angles wrap where the gripper points down, and the clip turned the arm away."""
    box = WorkspaceBox(
        position_min_m=[-1, -1, -1],
        position_max_m=[1, 1, 1],
        reference_quaternion_xyzw=[1, 0, 0, 0],
        rotation_vector_min_rad=[-0.3, -0.3, -0.3],
        rotation_vector_max_rad=[0.3, 0.3, 0.3],
    )
    for roll in (np.pi - 0.1, -np.pi + 0.1):
        pose = np.array([0, 0, 0, *spatial.quaternion_from_euler_xyz(np.array([roll, 0, 0]))])
        np.testing.assert_allclose(spatial.clip_pose(pose, box), pose)
