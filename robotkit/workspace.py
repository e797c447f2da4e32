"""The workspace box: tests whether a pose is inside, and finds the nearest pose inside."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from robotkit import quaternions
from robotkit.schema import WorkspaceBox

_TOLERANCE = 1e-9
"""Metres or radians: what the round trip from a box's face through a quaternion may cost."""
FARTHEST_BACK_M = 0.5
"""A tool that is farther outside its box is not led back to it by targets: the box is more likely wrong."""
_NO_NEARER = 1e-6
"""Metres or radians: what counts as no nearer."""


def clip_pose(pose: np.ndarray, box: WorkspaceBox) -> np.ndarray:
    """Bring a pose (7,) into the box; a pose that is inside comes back unchanged.

    The position is clipped by axis. The orientation is clipped as a rotation vector in the base frame, counted from
    the box's reference orientation. A rotation by angle a about an axis is also one by a - 2 pi, so both are clipped
    and the result that lies nearer to the asked orientation is taken: no pose is turned the long way round.
    """
    clipped = pose.copy()
    np.clip(pose[:3], box.position_min_m, box.position_max_m, out=clipped[:3])
    reference = box.reference_quaternion_xyzw
    if reference is None or is_inside(clipped, box):
        return clipped
    candidates = [
        np.clip(v, box.rotation_vector_min_rad, box.rotation_vector_max_rad) for v in _logs(reference, pose[3:])
    ]
    turned = [quaternions.multiply(quaternions.from_rotation_vector(v), reference) for v in candidates]
    clipped[3:] = min(turned, key=lambda quaternion: _angle(quaternion, pose[3:]))
    return clipped


class BoxBounds:
    """A workspace box as plain floats, for the check of every command."""

    def __init__(self, box: WorkspaceBox) -> None:
        self._low_m, self._high_m = _widened(box.position_min_m, box.position_max_m)
        self._low_rad, self._high_rad = _widened(box.rotation_vector_min_rad, box.rotation_vector_max_rad)
        reference = box.reference_quaternion_xyzw
        self._reference = None if reference is None else reference.tolist()

    def contains(self, pose: list[float]) -> bool:
        """True when the pose, seven floats, lies in the box up to 1e-9 m and rad of rounding; a NaN does not."""
        x, y, z, *quaternion = pose
        (x_low, y_low, z_low), (x_high, y_high, z_high) = self._low_m, self._high_m
        if not (x_low <= x <= x_high and y_low <= y <= y_high and z_low <= z <= z_high):
            return False
        return self._reference is None or self._contains_orientation(self._reference, quaternion)

    def describe(self, pose: list[float]) -> str:
        """Say what of this pose is outside: which axis, where it is and where it may be."""
        for axis, value, low, high in zip("xyz", pose[:3], self._low_m, self._high_m, strict=True):
            if not low <= value <= high:
                return f"tool target {axis} = {value:.4f} m is not in [{low:.4f}, {high:.4f}] m"
        vector = quaternions.rotation_vector_floats(self._reference or pose[3:], pose[3:])
        return (
            f"tool target is turned by {_text(vector)} rad (rotation vector) from the reference orientation, which is "
            f"not between {_text(self._low_rad)} and {_text(self._high_rad)} rad"
        )

    def _contains_orientation(self, reference: list[float], quaternion: list[float]) -> bool:
        short = quaternions.rotation_vector_floats(reference, quaternion)
        return self._contains_vector(*short) or self._contains_vector(*_long_way(short))

    def _contains_vector(self, x: float, y: float, z: float) -> bool:
        (x_low, y_low, z_low), (x_high, y_high, z_high) = self._low_rad, self._high_rad
        return x_low <= x <= x_high and y_low <= y <= y_high and z_low <= z <= z_high


def distance_outside(pose: np.ndarray, box: WorkspaceBox) -> tuple[float, float]:
    """The distance of a pose (7,) from the box, in m and in rad; (0, 0) inside."""
    nearest = clip_pose(pose, box)
    return math.dist(pose[:3].tolist(), nearest[:3].tolist()), _angle(pose[3:], nearest[3:])


def leads_back(measured: np.ndarray, target: np.ndarray, box: WorkspaceBox) -> bool:
    """True for a target (7,) nearer to the box than the arm is in position or orientation, and farther in neither.

    An arm that a person or its load has brought out of the box comes back in small steps this way, and not in one, from
    where it is at most `FARTHEST_BACK_M` outside.
    """
    outside = distance_outside(measured, box)
    gains = [now - then for now, then in zip(outside, distance_outside(target, box), strict=True)]
    return outside[0] <= FARTHEST_BACK_M and min(gains) >= -_NO_NEARER and max(gains) > _NO_NEARER


def is_inside(pose: np.ndarray, box: WorkspaceBox) -> bool:
    """True when a pose (7,) lies in the box, up to 1e-9 m and rad of rounding."""
    return BoxBounds(box).contains(pose.tolist())


def _logs(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both rotation vectors in the base frame that turn `start` into `end`: the short way and the long way."""
    short = quaternions.rotation_vector_floats(start.tolist(), end.tolist())
    return np.array(short), np.array(_long_way(short))


def _long_way(short: tuple[float, float, float]) -> tuple[float, float, float]:
    x, y, z = short
    angle_rad = math.sqrt(x * x + y * y + z * z)
    scale = 1.0 - 2.0 * math.pi / angle_rad if angle_rad > 0.0 else 1.0
    return x * scale, y * scale, z * scale


def _widened(low: np.ndarray, high: np.ndarray) -> tuple[list[float], list[float]]:
    return (low - _TOLERANCE).tolist(), (high + _TOLERANCE).tolist()


def _text(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.3f}" for value in values) + ")"


def _angle(a: np.ndarray, b: np.ndarray) -> float:
    return quaternions.angle_between(a.tolist(), b.tolist())
