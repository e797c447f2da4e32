"""Arithmetic of poses, twists and rotations; the only place where quaternion orders are converted.

A pose is an array (7,): position in metres, then a unit quaternion xyzw. `pose_ab` maps coordinates in b into a. A
twist is linear then angular velocity, a wrench is force then torque. What runs in every control step is written in
plain floats (`robotkit.quaternions`, `robotkit.workspace`), the rest stands on scipy's `Rotation`.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.transform import Rotation

from robotkit import quaternions
from robotkit.quaternions import rotation_vector_between
from robotkit.workspace import clip_pose, is_inside

__all__ = [
    "angle_between", "clip_pose", "compose", "distance_between", "euler_xyz_from_quaternion", "integrate_delta",
    "interpolate", "inverse", "is_inside", "make_pose", "matrix_from_quaternion", "quaternion_from_euler_xyz",
    "quaternion_from_matrix", "quaternion_from_rotation_vector", "relative_pose", "rotate_vec6",
    "rotation_vector_between", "rotation_vector_from_quaternion", "wxyz_from_xyzw", "xyzw_from_wxyz",
]  # fmt: skip


_SCALAR_LAST, _SCALAR_FIRST = np.array((1, 2, 3, 0)), np.array((3, 0, 1, 2))


def xyzw_from_wxyz(quaternion_wxyz: np.ndarray) -> np.ndarray:
    """Reorder quaternions, shape (..., 4), from scalar first (MuJoCo) to scalar last (robotkit)."""
    return quaternion_wxyz.take(_SCALAR_LAST, axis=-1)


def wxyz_from_xyzw(quaternion_xyzw: np.ndarray) -> np.ndarray:
    """Reorder quaternions, shape (..., 4), from scalar last (robotkit) to scalar first (MuJoCo)."""
    return quaternion_xyzw.take(_SCALAR_FIRST, axis=-1)


def quaternion_from_rotation_vector(rotation_vector_rad: np.ndarray) -> np.ndarray:
    """Axis times angle, shape (3,), to a unit quaternion, shape (4,)."""
    return quaternions.from_rotation_vector(rotation_vector_rad)


def rotation_vector_from_quaternion(quaternion: np.ndarray) -> np.ndarray:
    """A unit quaternion, shape (4,), to axis times angle in [0, pi], shape (3,)."""
    return quaternions.to_rotation_vector(quaternion)


def angle_between(quaternion_a: np.ndarray, quaternion_b: np.ndarray) -> float:
    """Angle in rad, in [0, pi], between two orientations, shape (4,) each."""
    return quaternions.angle_between(quaternion_a.tolist(), quaternion_b.tolist())


def distance_between(pose_a: np.ndarray, pose_b: np.ndarray) -> float:
    """Distance in metres between the positions of two poses (7,) or two points (3,)."""
    return math.dist(pose_a[:3].tolist(), pose_b[:3].tolist())


def quaternion_from_euler_xyz(euler_rad: np.ndarray) -> np.ndarray:
    """Roll, pitch, yaw about the fixed axes x, y, z in that order, shape (..., 3), to quaternions, shape (..., 4)."""
    quaternion: np.ndarray = Rotation.from_euler("xyz", euler_rad).as_quat()
    return quaternion


def euler_xyz_from_quaternion(quaternion: np.ndarray) -> np.ndarray:
    """Roll, pitch, yaw about the fixed axes x, y, z, shape (3,), of a quaternion, shape (4,).

    Pitch lies in [-pi/2, pi/2]. Where it meets an end only roll - yaw or roll + yaw is defined, and yaw is set to 0.
    """
    return quaternions.to_euler_xyz(quaternion)


def matrix_from_quaternion(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrices, shape (..., 3, 3), of quaternions, shape (..., 4)."""
    matrix: np.ndarray = Rotation.from_quat(quaternion).as_matrix()
    return matrix


def quaternion_from_matrix(matrix: np.ndarray) -> np.ndarray:
    """Quaternions, shape (..., 4), of rotation matrices, shape (..., 3, 3)."""
    quaternion: np.ndarray = Rotation.from_matrix(matrix).as_quat()
    return quaternion


def make_pose(position_m: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    """Join a position (3,) and a quaternion (4,) into a pose (7,)."""
    return np.concatenate((position_m, quaternion))


def compose(pose_ab: np.ndarray, pose_bc: np.ndarray) -> np.ndarray:
    """Chain two poses: returns pose_ac, shape (7,)."""
    rotation_ab = pose_ab[3:]
    return make_pose(
        pose_ab[:3] + quaternions.rotate(rotation_ab, pose_bc[:3]), quaternions.multiply(rotation_ab, pose_bc[3:])
    )


def inverse(pose_ab: np.ndarray) -> np.ndarray:
    """Turn a pose around: returns pose_ba, shape (7,)."""
    rotation_ba = quaternions.conjugate(pose_ab[3:])
    return make_pose(-quaternions.rotate(rotation_ba, pose_ab[:3]), rotation_ba)


def relative_pose(pose_ab: np.ndarray, pose_ac: np.ndarray) -> np.ndarray:
    """The pose of c as seen from b: returns pose_bc, shape (7,)."""
    return compose(inverse(pose_ab), pose_ac)


def integrate_delta(pose: np.ndarray, translation_m: np.ndarray, rotation_vector_rad: np.ndarray) -> np.ndarray:
    """Move a pose (7,) by a translation (3,) and a rotation vector (3,), both given in the base frame."""
    turned = quaternions.multiply(quaternions.from_rotation_vector(rotation_vector_rad), pose[3:])
    return make_pose(pose[:3] + translation_m, turned / math.sqrt(turned @ turned))


def rotate_vec6(quaternion_ab: np.ndarray, vec6_in_b: np.ndarray) -> np.ndarray:
    """Express a twist, a wrench or a pose delta (6,) of frame b in the axes of frame a.

    Both halves are only rotated: the reference point stays where it is, so no lever arm enters. SERL applies the
    adjoint of a twist to a pose delta, which turns a pure translation.
    """
    return np.concatenate(
        (quaternions.rotate(quaternion_ab, vec6_in_b[:3]), quaternions.rotate(quaternion_ab, vec6_in_b[3:]))
    )


def interpolate(start: np.ndarray, end: np.ndarray, fraction: float) -> np.ndarray:
    """The pose (7,) at `fraction` of the way: straight line in position, shortest arc in orientation."""
    rotation = fraction * rotation_vector_between(start[3:], end[3:])
    return integrate_delta(start, fraction * (end[:3] - start[:3]), rotation)
