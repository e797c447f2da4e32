"""The simulated Panda with its 2F-85 as a kinematic chain, enclosed by the capsules that collide in the simulation."""

from __future__ import annotations

import numpy as np

from robotkit.schema.kinematics import KinematicChain, KinematicJoint, LinkCapsule
from robotkit.spatial import xyzw_from_wxyz
from sims.models.panda import LINKS, Link

_TCP_IN_LAST_LINK = (0.0, 0.0, 0.107 + 0.0038 + 0.145, 0.0, 0.0, -0.3826834, 0.9238795)
"""The site "pinch": flange, coupling and gripper, each turned about the same axis, -45 degrees in all."""
_GRIPPER = LinkCapsule(
    name="gripper", link=7, start_in_link_m=(0.0, 0.0, 0.130), end_in_link_m=(0.0, 0.0, 0.170), radius_m=0.049
)
"""Encloses the gripper's base; its fingers end at the tool centre point."""


def panda_chain() -> KinematicChain:
    """The arm of every MuJoCo cell."""
    joints = [link for link in LINKS if link.joint_range_rad is not None]
    capsules = [capsule for number, link in enumerate(LINKS) for capsule in _capsules(number, link)]
    return KinematicChain(
        joints=tuple(
            KinematicJoint(origin_in_parent=_pose(link), axis=(0.0, 0.0, 1.0), index=index)
            for index, link in enumerate(joints)
        ),
        tcp_in_last_link=_TCP_IN_LAST_LINK,
        capsules=(*capsules, _GRIPPER),
        # Links two joints apart overlap by construction, and do not collide in the simulation either.
        ignored_pairs=tuple(
            (first.name, second.name) for first in capsules for second in capsules if second.link - first.link == 2
        ),
    )


def _pose(link: Link) -> np.ndarray:
    quaternion_wxyz = np.array(link.quaternion, dtype=float)
    return np.array((*link.position, *xyzw_from_wxyz(quaternion_wxyz / np.linalg.norm(quaternion_wxyz))))


def _capsules(number: int, link: Link) -> list[LinkCapsule]:
    names = [link.name, f"{link.name} side"]
    return [
        LinkCapsule(name=name, link=number, start_in_link_m=start, end_in_link_m=end, radius_m=radius_m)
        for name, (start, end, radius_m) in zip(names, link.capsules, strict=False)
    ]
