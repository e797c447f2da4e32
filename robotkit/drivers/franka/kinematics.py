"""Geometry of the FR3 and the Panda: the joints they share, capsules around their links, and the Franka Hand's.

The joints are those of Franka's Denavit-Hartenberg table (FCI documentation, "Denavit-Hartenberg parameters"), which is
the same for both arms. The capsules enclose the collision meshes that Franka publishes for the FR3
(`franka_description`), rounded up to the next millimetre.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from robotkit import quaternions
from robotkit.schema import Pose
from robotkit.schema.arrays import read_only
from robotkit.schema.kinematics import KinematicChain, KinematicJoint, LinkCapsule

Vector = Sequence[float] | np.ndarray

_QUARTER = math.sqrt(0.5)
_ORIGINS = (
    (0.0, 0.0, 0.333, 0.0, 0.0, 0.0, 1.0),
    (0.0, 0.0, 0.0, -_QUARTER, 0.0, 0.0, _QUARTER),
    (0.0, -0.316, 0.0, _QUARTER, 0.0, 0.0, _QUARTER),
    (0.0825, 0.0, 0.0, _QUARTER, 0.0, 0.0, _QUARTER),
    (-0.0825, 0.384, 0.0, -_QUARTER, 0.0, 0.0, _QUARTER),
    (0.0, 0.0, 0.0, _QUARTER, 0.0, 0.0, _QUARTER),
    (0.088, 0.0, 0.0, _QUARTER, 0.0, 0.0, _QUARTER),
)
"""Pose of each joint in the frame of the one before it."""
_FLANGE_M = 0.107
"""Distance of the flange from the last joint's frame, along its z axis."""
_EIGHTH = math.pi / 8
HAND_TCP_IN_FLANGE = read_only((0.0, 0.0, 0.1034, 0.0, 0.0, -math.sin(_EIGHTH), math.cos(_EIGHTH)))
"""Pose (7,) of the point between the fingertips of a Franka Hand, which is mounted turned by -45 degrees about the
flange's axis."""

_LINKS = (
    ("base", 0, (-0.057, -0.001, 0.024), (-0.002, 0.0, 0.052), 0.107),
    ("shoulder", 1, (0.0, -0.002, -0.142), (0.0, -0.054, 0.0), 0.078),
    ("upper arm", 2, (0.0, 0.003, 0.054), (0.0, -0.142, 0.0), 0.077),
    ("upper elbow", 3, (0.084, 0.042, -0.001), (-0.002, 0.003, -0.087), 0.070),
    ("lower elbow", 4, (0.001, -0.001, 0.043), (-0.084, 0.084, -0.001), 0.070),
    ("forearm", 5, (0.0, 0.002, -0.240), (0.0, 0.080, -0.093), 0.060),
    ("forearm end", 5, (0.0, 0.081, -0.013), (0.0, 0.062, 0.0), 0.066),
    ("wrist", 6, (0.022, 0.006, 0.004), (0.089, 0.010, -0.002), 0.076),
    ("flange", 7, (0.032, 0.032, 0.083), (-0.004, -0.004, 0.074), 0.051),
)
_NEVER_TOUCH = (
    ("base", "upper arm"), ("shoulder", "upper elbow"), ("upper arm", "lower elbow"), ("upper elbow", "forearm"),
    ("upper elbow", "forearm end"), ("lower elbow", "wrist"), ("forearm", "flange"), ("forearm end", "flange"),
)  # fmt: skip
"""Links that are two joints apart and so near each other by construction that no clearance can be asked for."""
_HAND = ("hand", (0.0, -0.075, 0.021), (0.0, 0.061, 0.031), 0.050)
"""The hand's capsule in the hand's own frame, which lies in the flange's origin."""


def chain(tcp_in_flange: Pose, has_hand: bool = False) -> KinematicChain:
    """The seven joints of an FR3 or a Panda, with the capsules of its links.

    Args:
        tcp_in_flange: tool centre point, (7,): `HAND_TCP_IN_FLANGE`, or what the arm reports as `F_T_EE`.
        has_hand: also enclose a Franka Hand on the flange (its body; the fingers end at the tool centre point).
    """
    capsules = [_capsule(*row) for row in _LINKS]
    ignored = list(_NEVER_TOUCH)
    if has_hand:
        capsules.append(_hand())
        ignored.append(("forearm end", "hand"))
    return KinematicChain(
        joints=tuple(
            KinematicJoint(origin_in_parent=origin, axis=(0.0, 0.0, 1.0), index=index)
            for index, origin in enumerate(_ORIGINS)
        ),
        tcp_in_last_link=(*tcp_in_flange[:2], tcp_in_flange[2] + _FLANGE_M, *tcp_in_flange[3:]),
        capsules=tuple(capsules),
        ignored_pairs=tuple(ignored),
    )


def _capsule(name: str, link: int, start: Vector, end: Vector, radius_m: float) -> LinkCapsule:
    return LinkCapsule(name=name, link=link, start_in_link_m=start, end_in_link_m=end, radius_m=radius_m)


def _hand() -> LinkCapsule:
    name, start, end, radius_m = _HAND
    mount = HAND_TCP_IN_FLANGE[3:]
    offset = np.array((0.0, 0.0, _FLANGE_M))
    start_in_link, end_in_link = (quaternions.rotate(mount, np.array(point)) + offset for point in (start, end))
    return _capsule(name, len(_ORIGINS), start_in_link, end_in_link, radius_m)
