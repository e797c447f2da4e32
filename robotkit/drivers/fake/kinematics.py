"""Kinematics of the fake arm: a gantry of three slides with a roll-pitch-yaw wrist.

Joints 0 to 2 are the tool's position in metres, joints 3 to 5 its roll, pitch and yaw about the fixed base axes in rad;
any further joint moves nothing. It is the simplest chain whose pose, twist and Jacobian can be checked by hand.
"""

from __future__ import annotations

import math

import numpy as np

from robotkit import quaternions

_TURN = 2.0 * math.pi


def tcp_pose(joints: np.ndarray) -> np.ndarray:
    """Forward kinematics: joints (n,) to the tool's pose (7,) in the base frame."""
    roll, pitch, yaw = (
        quaternions.from_rotation_vector(axis * a) for axis, a in zip(np.eye(3), joints[3:6], strict=True)
    )
    rotation = quaternions.multiply(yaw, quaternions.multiply(pitch, roll))
    return np.concatenate((joints[:3], rotation))


def jacobian(joints: np.ndarray) -> np.ndarray:
    """Shape (6, n): twist of the tool in the base frame = jacobian @ joint velocities."""
    pitch, yaw = joints[4:6].tolist()
    matrix = np.zeros((6, len(joints)))
    matrix[:3, :3] = np.eye(3)
    matrix[3:, 3] = (math.cos(yaw) * math.cos(pitch), math.sin(yaw) * math.cos(pitch), -math.sin(pitch))
    matrix[3:, 4] = (-math.sin(yaw), math.cos(yaw), 0.0)
    matrix[3:, 5] = (0.0, 0.0, 1.0)
    return matrix


def joints_for(tcp_pose_in_base: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Inverse kinematics: the solution nearest to `near` (n,); joints that move nothing stay where they are."""
    first = quaternions.to_euler_xyz(tcp_pose_in_base[3:])
    second = np.array((first[0] + math.pi, math.pi - first[1], first[2] + math.pi))
    wrists = [near[3:6] + (angles - near[3:6] + math.pi) % _TURN - math.pi for angles in (first, second)]
    wrist = min(wrists, key=lambda angles: float(np.abs(angles - near[3:6]).sum()))
    return np.concatenate((tcp_pose_in_base[:3], wrist, near[6:]))
