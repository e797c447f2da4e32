"""`BodyBounds`: the bounds of an arm's tool and links, for joint targets, for joint paths, and for a monitor."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from robotkit.errors import InvalidCommand, OutsideWorkspace
from robotkit.kinematics import ForwardKinematics
from robotkit.safety.segments import segment_distances
from robotkit.schema import WorkspaceBox
from robotkit.schema.kinematics import KinematicChain, Plane
from robotkit.workspace import BoxBounds, distance_outside

_TOLERANCE = 1e-6
"""Metres or radians: what counts as no farther outside."""
_SAMPLE_M = 0.01
"""Spacing of samples: no point of the arm moves farther between two samples of a path, so none is farther than half of
it from a sample."""
_SAMPLE_RAD = 0.05
"""Largest turn of the tool between two samples of a path."""
_CHUNK = 256
_MOST_SAMPLES = 20_000
_REMEDY = "choose another target"


@dataclass(frozen=True)
class Depth:
    """The distance of an arm outside its bounds."""

    distance_m: float
    """The largest distance by which the tool is outside the box, or a link beyond a plane or too near another link."""
    angle_rad: float
    """How far the tool is turned out of the box."""
    text: str
    """Names what is outside; empty for an arm inside all bounds."""


class BodyBounds:
    """Checks configurations of an arm against a box for the tool, planes for all links, and the links themselves.

    The base does not move and is not held against the planes. Planes also bound the tool centre point.

    Args:
        chain: the arm.
        box: where the tool may be; None leaves it free.
        planes: obstacles around the arm.
        link_clearance_m: smallest distance between links that are not neighbours; None does not check it.
        path_margin_m: how far the tool may leave the box in the middle of a joint path; planes and links have no
            margin.
        path_margin_rad: how far the tool may turn out of the box in the middle of a joint path. Paths between random
            postures inside the boxes of the simulated cells turn out by up to 0.8 rad.
    """

    def __init__(
        self,
        chain: KinematicChain,
        box: WorkspaceBox | None,
        planes: tuple[Plane, ...],
        link_clearance_m: float | None,
        path_margin_m: float,
        path_margin_rad: float = 1.0,
    ) -> None:
        self._kinematics = ForwardKinematics(chain)
        self._box, self._test = box, None if box is None else BoxBounds(box)
        self._planes = planes
        self._normals = np.array([plane.normal_in_base for plane in planes]).reshape(-1, 3).T
        self._half_spaces = [(plane, plane.normal_in_base.tolist()) for plane in planes]
        self._heights_m = np.array(
            [plane.point_in_base_m @ plane.normal_in_base + plane.clearance_m for plane in planes]
        )
        capsules = chain.capsules
        self._radii_m = np.array([capsule.radius_m for capsule in capsules])
        self._moving = np.array([i for i, capsule in enumerate(capsules) if capsule.link > 0], dtype=int)
        self._bodies = [f"link {capsules[i].name!r}" for i in self._moving] + ["the tool centre point"]
        self._clearance_m = link_clearance_m
        pairs = [] if link_clearance_m is None else _pairs(chain)
        self._pairs = [(capsules[i].name, capsules[j].name) for i, j in pairs]
        self._first, self._second = np.array(pairs, dtype=int).reshape(-1, 2).T
        self._apart_m = self._radii_m[self._first] + self._radii_m[self._second] + (link_clearance_m or 0.0)
        self._needs_links = bool(self._pairs) or bool(planes and len(self._moving))
        self._margins = np.zeros(2 + len(self._bodies) * len(planes) + len(pairs))
        self._margins[:2] = path_margin_m, path_margin_rad

    def check_tool(self, position_m: list[float], measured_m: Callable[[], np.ndarray]) -> None:
        """Refuse a target of the tool centre point (3 floats) beyond a plane, unless it leads back.

        Args:
            position_m: the target.
            measured_m: tells where the tool is, (3,); a target nearer to the allowed side leads back.

        Raises:
            OutsideWorkspace: names the plane, and by how much.
        """
        x, y, z = position_m
        for (plane, (nx, ny, nz)), height_m in zip(self._half_spaces, self._heights_m.tolist(), strict=True):
            beyond_m = height_m - (nx * x + ny * y + nz * z)
            if beyond_m <= _TOLERANCE or beyond_m < height_m - float(plane.normal_in_base @ measured_m()) - _TOLERANCE:
                continue
            raise OutsideWorkspace(
                f"the tool target is {beyond_m:.3f} m beyond where plane {plane.name!r} lets it be (allowed: at least "
                f"{plane.clearance_m:.3f} m before it); {_REMEDY}"
            )

    def check_joints(self, positions_rad: np.ndarray) -> None:
        """Refuse a configuration, (n,), in which the tool or a link would be out of bounds.

        Raises:
            OutsideWorkspace: names what would be outside, and by how much.
            InvalidCommand: the configuration is not n finite numbers.
        """
        excess, poses = self._excess(self._checked(positions_rad)[None])
        if not excess.max() <= 0.0:
            raise OutsideWorkspace(f"{self._text(excess[0], poses[0])}; {_REMEDY}")

    def check_path(self, start_rad: np.ndarray, goal_rad: np.ndarray) -> None:
        """Refuse a straight joint path from `start_rad` to `goal_rad`, each (n,), that leaves the bounds.

        On its way the tool may be outside the box by the margins. A start that is outside may be left: the path may
        then be as far outside as its start (per plane and link), and has to end inside, or nearer in something and
        farther in nothing. Between samples points move at most 1 cm, and the tool turns at most 0.05 rad.

        Raises:
            OutsideWorkspace: names what would be outside, by how much, and after which share of the path; or the path
                is too long to be checked.
            InvalidCommand: start or goal are not n finite numbers.
        """
        start, goal = self._checked(start_rad), self._checked(goal_rad)
        way_m, turn_rad = self._kinematics.path_bounds(start, goal)
        steps = math.ceil(max(way_m / _SAMPLE_M, turn_rad / _SAMPLE_RAD))
        if steps > _MOST_SAMPLES:
            raise OutsideWorkspace(
                f"the joint path from {start.tolist()} to {goal.tolist()} is too long to be checked ({steps} samples, "
                f"at most {_MOST_SAMPLES}); go there in several motions"
            )
        (at_start, at_goal), poses = self._excess(np.array((start, goal)))
        is_nearer = (at_goal <= at_start + _TOLERANCE).all() and (at_goal < at_start - _TOLERANCE).any()
        if not (at_goal.max() <= 0.0 or is_nearer):
            raise OutsideWorkspace(f"at its goal {self._text(at_goal, poses[1])}; {_REMEDY}")
        allowed = np.maximum(at_start, self._margins) + _TOLERANCE
        shares = np.linspace(0.0, 1.0, steps + 1)[1:-1]
        for first in range(0, len(shares), _CHUNK):
            part = shares[first : first + _CHUNK]
            excess, poses = self._excess(start + part[:, None] * (goal - start))
            is_allowed = (excess <= allowed).all(axis=1)
            if not is_allowed.all():
                index = int(is_allowed.argmin())
                beyond = np.where(excess[index] <= allowed, 0.0, excess[index])
                raise OutsideWorkspace(
                    f"after {part[index]:.0%} of the joint path {self._text(beyond, poses[index])}; go there by "
                    "another way, in several motions"
                )

    def depth(self, positions_rad: np.ndarray) -> Depth:
        """The distance of the configuration (n,) outside; infinite for numbers that are not finite."""
        excess, poses = self._excess(positions_rad[None])
        worst = excess[0]
        distance_m = float(max(worst[0], worst[2:].max(initial=0.0)))
        return Depth(distance_m, float(worst[1]), self._text(worst, poses[0]) if worst.max() > 0.0 else "")

    def _checked(self, positions_rad: np.ndarray) -> np.ndarray:
        count = self._kinematics.joint_count
        if positions_rad.shape != (count,) or not np.isfinite(positions_rad).all():
            raise InvalidCommand(f"expected {count} finite joint positions, got {positions_rad.tolist()}")
        return positions_rad

    def _excess(self, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far configurations (m, n) are outside each bound, (m, bounds), 0 inside; and their tool poses (m, 7).

        The bounds are the box in m, the box in rad, each moving link and the tool against each plane, and the pairs.
        """
        frames = self._kinematics.frames(joints)
        poses = self._kinematics.tcp_poses_of(frames)
        excess = np.zeros((len(joints), len(self._margins)))
        if self._box is not None and self._test is not None:
            for index, pose in enumerate(poses.tolist()):
                if not self._test.contains(pose):
                    excess[index, :2] = distance_outside(poses[index], self._box)
        if self._needs_links:
            ends = self._kinematics.capsule_ends_of(frames)
            if self._pairs:
                first, second = ends[:, self._first], ends[:, self._second]
                excess[:, -len(self._pairs) :] = self._apart_m - segment_distances(first, second)
        if self._planes:
            beyond = np.empty((len(joints), len(self._bodies), len(self._planes)))
            beyond[:, -1] = self._heights_m - poses[:, :3] @ self._normals
            if len(self._moving):
                lowest = (ends[:, self._moving] @ self._normals).min(axis=2)
                beyond[:, :-1] = self._heights_m + self._radii_m[self._moving, None] - lowest
            excess[:, 2 : 2 + beyond[0].size] = beyond.reshape(len(joints), -1)
        np.maximum(excess, 0.0, out=excess)
        excess[np.isnan(excess)] = np.inf
        return excess, poses

    def _text(self, excess: np.ndarray, pose: np.ndarray) -> str:
        """Name the bound that is exceeded most, by how much, and what is allowed."""
        index = int(excess.argmax())
        if index < 2 and self._box is not None and self._test is not None:
            position_m = (
                pose[:3] if index == 0 else np.clip(pose[:3], self._box.position_min_m, self._box.position_max_m)
            )
            return self._test.describe([*position_m.tolist(), *pose[3:].tolist()])
        body, plane = divmod(index - 2, len(self._planes) or 1)
        if body < len(self._bodies) and self._planes:
            limit = self._planes[plane]
            beyond_m = excess[index] - limit.clearance_m
            where = f"{abs(beyond_m):.3f} m {'beyond' if beyond_m >= 0.0 else 'before'} plane {limit.name!r}"
            return f"{self._bodies[body]} would be {where} (allowed: at least {limit.clearance_m:.3f} m before it)"
        first, second = self._pairs[index - len(excess)]
        apart_m = (self._clearance_m or 0.0) - excess[index]
        return (
            f"links {first!r} and {second!r} would be {apart_m:.3f} m apart (allowed: at least "
            f"{self._clearance_m or 0.0:.3f} m)"
        )


def _pairs(chain: KinematicChain) -> list[tuple[int, int]]:
    """Indices of the capsules that must not touch."""
    ignored = {frozenset(pair) for pair in chain.ignored_pairs}
    return [
        (i, j)
        for (i, first), (j, second) in combinations(enumerate(chain.capsules), 2)
        if abs(first.link - second.link) > 1 and frozenset((first.name, second.name)) not in ignored
    ]
