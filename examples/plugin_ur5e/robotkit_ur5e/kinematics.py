"""Geometry of the UR5e, and steps towards a pose that stay bounded near singularities."""

from __future__ import annotations

import math

import numpy as np

from robotkit import KinematicChain, KinematicJoint, LinkCapsule, spatial
from robotkit.kinematics import ForwardKinematics

JOINTS = 6
_LINK_M = (0.0, -0.425, -0.3922, 0.0, 0.0, 0.0)
_OFFSET_M = (0.1625, 0.0, 0.0, 0.1333, 0.0997, 0.0996)
_TWIST_RAD = (np.pi / 2, 0.0, 0.0, np.pi / 2, -np.pi / 2, 0.0)
"""The Denavit-Hartenberg table (a, d, alpha) that Universal Robots publishes for the UR5e."""
_CAPSULES = (
    ("base", 0, (0.0, 0.0, 0.02), (0.0, 0.0, 0.08), 0.08),
    ("shoulder", 1, (0.0, 0.0, 0.1625), (0.0, -0.10, 0.1625), 0.08),
    ("upper arm", 2, (0.0, 0.0, 0.138), (-0.425, 0.0, 0.138), 0.075),
    ("forearm", 3, (0.0, 0.0, 0.007), (-0.392, 0.0, 0.007), 0.07),
    ("wrist 1", 4, (0.0, 0.0, 0.02), (0.0, 0.0, 0.1333), 0.06),
    ("wrist 2", 5, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0997), 0.06),
    ("flange", 6, (0.0, 0.0, 0.03), (0.0, 0.0, 0.06), 0.045),
)
"""Cylinders around tubes and joints, drawn generously from the arm's dimension sheet; check them on your own arm."""

_WEIGHTS = np.array((1.0, 1.0, 1.0, 0.1, 0.1, 0.1))
"""1 rad counts as much as 0.1 m: where the flange cannot follow, it keeps to the line and turns late."""
_SINGULAR = 0.02
"""Smaller singular values of the weighted Jacobian are damped: there 1 rad/s of the joints hardly moves the flange."""
_DAMPING = 0.02
_MOST_STEPS = 100
_LONGEST_STEP_RAD = 0.1
_NEAR = 1e-5
"""Metres and rad: the same pose."""
_ARRIVED_M, _ARRIVED_RAD = 2e-3, 0.02


def chain() -> KinematicChain:
    """The six joints, with capsules around the links; the tool centre point is the flange."""
    links = [_link(*row) for row in zip(_OFFSET_M, _LINK_M, _TWIST_RAD, strict=True)]
    origins = [np.array((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)), *links[:-1]]
    return KinematicChain(
        joints=tuple(
            KinematicJoint(origin_in_parent=origin, axis=(0.0, 0.0, 1.0), index=index)
            for index, origin in enumerate(origins)
        ),
        tcp_in_last_link=links[-1],
        capsules=tuple(
            LinkCapsule(name=name, link=link, start_in_link_m=start, end_in_link_m=end, radius_m=radius_m)
            for name, link, start, end, radius_m in _CAPSULES
        ),
        ignored_pairs=(("base", "upper arm"), ("forearm", "wrist 2"), ("wrist 1", "flange")),
    )


def _link(offset_m: float, length_m: float, twist_rad: float) -> np.ndarray:
    """The pose that a row of the table adds behind its joint: along z, along x, about x."""
    return np.array((length_m, 0.0, offset_m, math.sin(twist_rad / 2), 0.0, 0.0, math.cos(twist_rad / 2)))


_ARM = ForwardKinematics(chain())
tcp_pose = _ARM.tcp_pose
"""Joints (6,) to the pose (7,) of the flange in the base."""
jacobian = _ARM.jacobian
"""Joints (6,) to the Jacobian (6, 6): twist of the flange in the base = jacobian @ joint velocities."""


def step_towards(
    joints_rad: np.ndarray, pose_in_base: np.ndarray, longest_m: float = math.inf, longest_rad: float = math.inf
) -> tuple[np.ndarray, np.ndarray]:
    """One step of the joints, (6,), that brings the flange towards a pose (7,); and the twist (6,) still to go.

    Damped least squares: singular values s of the Jacobian below `_SINGULAR` are inverted as s / (s^2 + d^2), with d
    growing as s falls, so that joints do not race where the tool can hardly follow (Chiaverini, 1997).

    Args:
        joints_rad: present joints (6,).
        pose_in_base: the target (7,).
        longest_m: the flange is asked to go no farther than this in the step, along a straight line.
        longest_rad: and to turn no farther than this.
    """
    pose = tcp_pose(joints_rad)
    error = np.concatenate((pose_in_base[:3] - pose[:3], spatial.rotation_vector_between(pose[3:], pose_in_base[3:])))
    way_m, turn_rad = float(np.linalg.norm(error[:3])), float(np.linalg.norm(error[3:]))
    share = min(1.0, longest_m / max(way_m, 1e-12), longest_rad / max(turn_rad, 1e-12))
    left, singular, right = np.linalg.svd(_WEIGHTS[:, None] * jacobian(joints_rad))
    lack = np.maximum(1.0 - (singular / _SINGULAR) ** 2, 0.0)
    return right.T @ (singular / (singular**2 + lack * _DAMPING**2) * (left.T @ (share * _WEIGHTS * error))), error


def joints_for(pose_in_base: np.ndarray, near_rad: np.ndarray) -> np.ndarray | None:
    """Joints (6,) to which `step_towards` leads from `near_rad`; None when they do not bring the flange to the pose.

    It may be off by 2 mm and 0.02 rad: near a singularity the last bit takes the joints far.
    """
    joints = near_rad.copy()
    for _ in range(_MOST_STEPS):
        step, error = step_towards(joints, pose_in_base)
        if np.abs(error).max() < _NEAR:
            break
        joints = joints + step * min(1.0, _LONGEST_STEP_RAD / max(float(np.abs(step).max()), 1e-12))
    else:
        error = step_towards(joints, pose_in_base)[1]
    is_there = np.linalg.norm(error[:3]) <= _ARRIVED_M and np.linalg.norm(error[3:]) <= _ARRIVED_RAD
    return joints if is_there else None
