"""Kinematics of the UR5e, from the Denavit-Hartenberg table that Universal Robots publishes for it."""

from __future__ import annotations

import numpy as np

from robotkit import spatial

JOINTS = 6
LINK_M = (0.0, -0.425, -0.3922, 0.0, 0.0, 0.0)
OFFSET_M = (0.1625, 0.0, 0.0, 0.1333, 0.0997, 0.0996)
TWIST_RAD = (np.pi / 2, 0.0, 0.0, np.pi / 2, -np.pi / 2, 0.0)

_DAMPING = 1e-3
_ITERATIONS = 100
_TOLERANCE = 1e-7


def frames(joints_rad: np.ndarray) -> np.ndarray:
    """Transforms of the base and of every joint's link in the base, shape (7, 4, 4)."""
    found = [np.eye(4)]
    for angle, a, d, alpha in zip(joints_rad, LINK_M, OFFSET_M, TWIST_RAD, strict=True):
        c, s, ca, sa = np.cos(angle), np.sin(angle), np.cos(alpha), np.sin(alpha)
        link = [[c, -s * ca, s * sa, a * c], [s, c * ca, -c * sa, a * s], [0.0, sa, ca, d], [0.0, 0.0, 0.0, 1.0]]
        found.append(found[-1] @ np.array(link))
    return np.array(found)


def tcp_pose(joints_rad: np.ndarray) -> np.ndarray:
    """Pose (7,) of the flange in the base."""
    tip = frames(joints_rad)[-1]
    return spatial.make_pose(tip[:3, 3], spatial.quaternion_from_matrix(tip[:3, :3]))


def jacobian(joints_rad: np.ndarray) -> np.ndarray:
    """Shape (6, 6): twist of the flange in the base = jacobian @ joint velocities."""
    found = frames(joints_rad)
    axes, origins = found[:-1, :3, 2], found[:-1, :3, 3]
    return np.vstack((np.cross(axes, found[-1, :3, 3] - origins).T, axes.T))


def joints_for(pose_in_base: np.ndarray, near_rad: np.ndarray) -> np.ndarray | None:
    """Joints (6,) near `near_rad` that bring the flange to a pose (7,); None when the arm does not reach it.

    Damped least squares (Wampler 1986).
    """
    joints = near_rad.copy()
    for _ in range(_ITERATIONS):
        pose = tcp_pose(joints)
        turn = spatial.rotation_vector_between(pose[3:], pose_in_base[3:])
        error = np.concatenate((pose_in_base[:3] - pose[:3], turn))
        if np.abs(error).max() < _TOLERANCE:
            return joints
        j = jacobian(joints)
        joints = joints + j.T @ np.linalg.solve(j @ j.T + _DAMPING**2 * np.eye(6), error)
    return None
