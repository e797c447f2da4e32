"""`PoseDelta`: SERL's seven numbers, a small motion of the tool in the base frame and what the gripper does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from gymnasium import spaces

from envs.actions.action_map import ActionMap
from envs.actions.gripper import BinaryGripper
from robotkit import InvalidConfiguration, spatial
from robotkit.schema import CellState, GripperCommand, PoseCommand, WorkspaceBox
from robotkit.workspace import clip_pose, distance_outside

_ROUNDING = 1e-6
"""Metres or radians."""


@dataclass(frozen=True)
class PoseDeltaConfig:
    """The size of an action, the pose that it counts from, and the box that bounds it."""

    workspace: WorkspaceBox
    """Targets stay in it."""
    translation_scale_m: float = 0.02
    """Motion along an axis for an action of 1."""
    rotation_scale_rad: float = 0.1
    """Turn about an axis for an action of 1."""
    rotation_as: Literal["rotation_vector", "euler_xyz"] = "rotation_vector"
    """SERL reads the three numbers as Euler angles about the base axes x, y, z in that order. To first order that is
    the same; but only a rotation vector means the same turn in every frame, which `RelativeFrame` relies on."""
    lead_m: float = 0.02
    """How far the position that an action counts from may lead the measured one.

    0 counts from the measured pose, as SERL does: an arm that sags or lags then creeps away under actions of zero.
    Infinity counts from the commanded pose: nothing creeps, but in contact the target wanders off into the wall, and
    the way back is as long. Between them the commanded pose counts, on a leash: zero holds still, and an arm that is
    blocked is left after one or two actions.
    """
    lead_rad: float = 0.1
    """Angle by which the orientation that an action counts from may lead the measured one."""
    max_translation_step_m: float | None = None
    """Longest way between two targets; None takes that of the largest action, sqrt(3) times the scale."""
    max_rotation_step_rad: float | None = None
    """Largest turn between two targets; None takes that of the largest action."""
    axes: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    """The numbers of an action that count; the tool stays as it is along and about the other axes."""

    def __post_init__(self) -> None:
        for name in ("translation_scale_m", "rotation_scale_rad", "lead_m", "lead_rad"):
            if not getattr(self, name) >= 0.0:
                raise InvalidConfiguration(f"{name} must be at least 0, got {getattr(self, name)}")

    @property
    def longest_step_m(self) -> float:
        """The longest way between two targets that any action can ask for."""
        largest = math.sqrt(3.0) * self.translation_scale_m
        return largest if self.max_translation_step_m is None else self.max_translation_step_m

    @property
    def longest_step_rad(self) -> float:
        """The largest turn between two targets that any action can ask for."""
        largest = math.sqrt(3.0) * self.rotation_scale_rad
        return largest if self.max_rotation_step_rad is None else self.max_rotation_step_rad


class PoseDelta(ActionMap):
    """Translation and rotation are applied in the base frame: x += a, R = exp(a) R (rotation composed on the left).

    The box never turns a target away: the commanded orientation is never farther from the asked one than the one before
    it was, unless that lay outside the box. A target outside the box, where a person has moved the arm, is followed by
    targets that are each nearer to the box, in steps of at most the scales; see `way_back`.

    Args:
        config: reach and bounds.
        gripper: what the seventh number does; None leaves six.
    """

    def __init__(self, config: PoseDeltaConfig, gripper: BinaryGripper | None = None) -> None:
        self.space = spaces.Box(-1.0, 1.0, (6 if gripper is None else 7,), np.float32)
        self.meaning = "x, y, z, rotation x, y, z" + ("" if gripper is None else ", gripper")
        self.config = config
        self._counts = np.isin(np.arange(6), config.axes)
        self._gripper = gripper
        self._measured = self._commanded = np.empty(0)
        self._epoch = -1

    def reset(self, state: CellState) -> None:
        """Start from the pose that the reset commanded, or from the measured one if it commanded none."""
        self._take(state, _accepted_pose(state, state.robot.tcp_pose_in_base))
        if self._gripper is not None:
            self._gripper.reset(state)

    def __call__(self, action: np.ndarray) -> tuple[PoseCommand, GripperCommand | None]:
        """See `ActionMap`."""
        numbers = self.parse(action, self._commanded.size > 0)
        motion = np.where(self._counts, numbers[:6], 0.0)
        translation_m = motion[:3] * self.config.translation_scale_m
        turn = self._turn(motion[3:] * self.config.rotation_scale_rad)
        asked = self._bounded(spatial.integrate_delta(self._origin(), translation_m, turn))
        command = PoseCommand.unchecked(kind="pose", tcp_pose_in_base=self._inside(asked))
        return command, None if self._gripper is None else self._gripper(numbers[6])

    def follow(self, state: CellState) -> None:
        """Take the accepted pose, and what was measured since; see `ActionMap`."""
        is_replaced = state.robot.target_epoch != self._epoch
        self._take(state, state.robot.tcp_pose_in_base if is_replaced else _accepted_pose(state, self._commanded))
        if self._gripper is not None:
            self._gripper.follow(state)

    def _take(self, state: CellState, commanded: np.ndarray) -> None:
        self._measured, self._commanded = state.robot.tcp_pose_in_base, commanded
        self._epoch = state.robot.target_epoch

    def _turn(self, angles_rad: np.ndarray) -> np.ndarray:
        if self.config.rotation_as == "rotation_vector":
            return angles_rad
        return spatial.rotation_vector_from_quaternion(spatial.quaternion_from_euler_xyz(angles_rad))

    def _origin(self) -> np.ndarray:
        return towards(self._measured, self._commanded, self.config.lead_m, self.config.lead_rad)

    def _bounded(self, asked: np.ndarray) -> np.ndarray:
        return towards(self._commanded, asked, self.config.longest_step_m, self.config.longest_step_rad)

    def _inside(self, asked: np.ndarray) -> np.ndarray:
        """The pose in the box that is next to the asked one, and no detour; the way to it from outside the box."""
        clipped = clip_pose(asked, self.config.workspace)
        before = clip_pose(self._commanded, self.config.workspace)
        off_rad = spatial.angle_between(clipped[3:], asked[3:])
        is_detour = off_rad > spatial.angle_between(before[3:], asked[3:])
        is_leap = spatial.angle_between(clipped[3:], before[3:]) > self.config.longest_step_rad
        if off_rad > 0.0 and (is_detour or is_leap):
            clipped[3:] = before[3:]
        if _is_apart(before, self._commanded):
            return self.way_back(clipped, before)
        return clipped

    def way_back(self, goal: np.ndarray, nearest: np.ndarray) -> np.ndarray:
        """A target from outside the box towards `goal` (7,) inside, no farther than an action along one axis.

        The shortest turn to a goal may begin with one away from a box of rotation vectors, and the safety layer refuses
        that: then the target turns towards `nearest` (7,), the pose in the box that is next to where the tool was sent.
        """
        config, outside_rad = self.config, distance_outside(self._commanded, self.config.workspace)[1]
        reach_m = min(config.translation_scale_m, config.longest_step_m)
        reach_rad = min(config.rotation_scale_rad, config.longest_step_rad)
        target = towards(self._commanded, goal, reach_m, reach_rad)
        if distance_outside(target, config.workspace)[1] <= outside_rad:
            return target
        return towards(self._commanded, np.append(goal[:3], nearest[3:]), reach_m, reach_rad)


def towards(start: np.ndarray, goal: np.ndarray, reach_m: float, reach_rad: float) -> np.ndarray:
    """The pose (7,) on the way from `start` to `goal`, no farther than `reach_m` and `reach_rad` from `start`.

    The way is straight in position and the shortest in orientation; a goal within reach is returned as it is.
    """
    way_m = goal[:3] - start[:3]
    turn = spatial.rotation_vector_between(start[3:], goal[3:])
    share, turn_share = _share(way_m, reach_m), _share(turn, reach_rad)
    if share == turn_share == 1.0:
        return goal
    return spatial.integrate_delta(start, way_m * share, turn * turn_share)


def _accepted_pose(state: CellState, otherwise: np.ndarray) -> np.ndarray:
    return state.accepted.tcp_pose_in_base if isinstance(state.accepted, PoseCommand) else otherwise


def _is_apart(a: np.ndarray, b: np.ndarray) -> bool:
    """True when two poses (7,) differ by more than rounding."""
    return spatial.distance_between(a, b) > _ROUNDING or spatial.angle_between(a[3:], b[3:]) > _ROUNDING


def _share(way: np.ndarray, reach: float) -> float:
    length = math.hypot(*way.tolist())
    return 1.0 if length <= reach else reach / length
