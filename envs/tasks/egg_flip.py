"""HIL-SERL's egg flip: throw a flat egg with the pan that the gripper holds, so that it lands the other way up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium import spaces

from envs.tasks.franka import FrankaTask
from envs.tasks.franka_config import FrankaTaskConfig
from envs.tasks.task import Outcome
from robotkit import spatial
from robotkit.schema import CellState, ComplianceParams, WorkspaceBox

_FAR = 100.0
_DOWN = (1.0, 0.0, 0.0, 0.0)
X, Z, PITCH = 0, 2, 4
"""The numbers of an action that the task uses, as in HIL-SERL: along x, along z, about y."""


@dataclass(frozen=True)
class EggFlipConfig(FrankaTaskConfig):
    """The numbers of `FrankaTaskConfig`, and of pan and egg; the pan's frame is in its floor, z upwards, x forwards."""

    gripper_penalty: float = 0.0
    axes: tuple[int, ...] = (X, Z, PITCH)
    egg_in_pan: tuple[float, float, float] = (0.18, 0.0, 0.004)
    """Where the middle of the egg lies at the start, before randomisation, in a world that can place it."""
    egg_xy_m: tuple[float, float] = (0.04, 0.03)
    """Largest shift of the placed egg along x and along y."""
    pan_min_m: tuple[float, float] = (0.09, -0.07)
    """Where the pan begins, x and y in its frame."""
    pan_max_m: tuple[float, float] = (0.33, 0.07)
    lying_m: float = 0.012
    """An egg whose middle is below this height over the floor lies."""
    lost_m: float = 0.1
    """An egg that is this far below the pan has fallen out of it."""
    flipped_rad: float = math.radians(150.0)
    """Success: the egg lies turned over by more than this."""
    observes_object: bool = False
    """Adds `egg_in_pan` to the observation, which needs trackers for "egg" and "pan"."""


class EggFlip(FrankaTask):
    """Reward 1 when the egg lies in the pan, turned over since the start; an egg that falls out ends the episode.

    Only a cell with trackers for "egg" and "pan" can tell that; elsewhere the reward stays 0, and a classifier has to
    (HIL-SERL's has three classes: one side up, the other side up, lost).

    Observation: also `q` and `dq`, the joints' positions in rad and velocities in rad/s; with `observes_object` also
    `egg_in_pan` (6,), the middle of the egg in m and the direction of its axis, in the frame of the pan.
    """

    useful_trackers = ("egg", "pan")
    config: EggFlipConfig

    def __init__(self, config: EggFlipConfig) -> None:
        super().__init__(config)
        self._start_axis = np.array((0.0, 0.0, 1.0))
        for name in ("q", "dq"):
            self.state_space[name] = spaces.Box(-_FAR, _FAR, (7,), np.float32)
        if config.observes_object:
            self.trackers = ("egg", "pan")
            self.state_space["egg_in_pan"] = spaces.Box(-_FAR, _FAR, (6,), np.float32)

    def object_poses(self, np_random: np.random.Generator, options: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
        """The egg at a place in the pan that is drawn; the pan stands where the tool is at its start, floor level."""
        reach_m = np.array(self.config.egg_xy_m)
        shift_m = np.append(np_random.uniform(-reach_m, reach_m), 0.0)
        place_m = self.config.start[:3] + np.array(self.config.egg_in_pan) + shift_m
        return {"egg": np.array((*place_m, 0.0, 0.0, 0.0, 1.0))}

    def begin(self, state: CellState, np_random: np.random.Generator, options: Mapping[str, Any]) -> None:
        """Take note of which side is up."""
        if self._is_tracked(state):
            self._start_axis = self.egg_in_pan(state)[3:]

    def observe(self, state: CellState) -> dict[str, np.ndarray]:
        """See the class."""
        observation = super().observe(state)
        observation["q"] = state.robot.joint_positions_rad.astype(np.float32)
        observation["dq"] = state.robot.joint_velocities_rad_s.astype(np.float32)
        if self.config.observes_object:
            observation["egg_in_pan"] = self.egg_in_pan(state).astype(np.float32)
        return observation

    def egg_in_pan(self, state: CellState) -> np.ndarray:
        """See the class."""
        pose = spatial.relative_pose(state.poses["pan"].pose_in_base, state.poses["egg"].pose_in_base)
        return np.concatenate((pose[:3], spatial.matrix_from_quaternion(pose[3:])[:, 2]))

    def evaluate(self, state: CellState) -> Outcome:
        """See the class."""
        if not self._is_tracked(state):
            return Outcome(0.0, False, False)
        egg = self.egg_in_pan(state)
        is_in = ((egg[:2] > self.config.pan_min_m) & (egg[:2] < self.config.pan_max_m)).all()
        is_turned = float(egg[3:] @ self._start_axis) < math.cos(self.config.flipped_rad)
        is_done = bool(is_in and abs(egg[2]) < self.config.lying_m and is_turned)
        is_lost = bool(egg[2] < -self.config.lost_m)
        return Outcome(float(is_done), is_done, is_lost or (is_done and self.config.terminates_on_success))

    @staticmethod
    def _is_tracked(state: CellState) -> bool:
        return "egg" in state.poses and "pan" in state.poses


_PITCH_RAD = 0.5
EGG_VISION = EggFlipConfig(
    target_pose_in_base=(0.4, 0.0, 0.3, *_DOWN),
    reset_pose_in_base=(0.4, 0.0, 0.3, *_DOWN),
    workspace=WorkspaceBox(
        position_min_m=(0.27, -0.01, 0.2),
        position_max_m=(0.6, 0.01, 0.6),
        reference_quaternion_xyzw=_DOWN,
        rotation_vector_min_rad=(-0.01, -_PITCH_RAD, -0.01),
        rotation_vector_max_rad=(0.01, _PITCH_RAD, 0.01),
    ),
    translation_scale_m=0.1,
    rotation_scale_rad=0.3,
    lead_m=0.3,
    lead_rad=0.6,
    compliance=ComplianceParams(
        translational_stiffness_n_m=2000.0,
        translational_damping_ns_m=60.0,
        rotational_stiffness_nm=300.0,
        rotational_damping_nms_rad=9.0,
        translational_clip_min_m=(-0.06, -0.06, -0.06),
        translational_clip_max_m=(0.06, 0.06, 0.06),
        rotational_clip_min=(-0.25, -0.25, -0.25),
        rotational_clip_max=(0.25, 0.25, 0.25),
    ),
    precision=ComplianceParams(),
    image_keys=("wrist_1", "side"),
)
"""HIL-SERL's task (`experiments/egg_flip/config.py`) with a twist in place of its wrench: up to 1 m/s and 3 rad/s."""
EGG = replace(EGG_VISION, image_keys=(), observes_object=True)
"""The task without cameras: the place of the egg is measured."""
