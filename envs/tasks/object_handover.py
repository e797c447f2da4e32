"""HIL-SERL's object handover: one arm picks a bar and gives it, the other takes it and lays it into a tray."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from gymnasium import spaces

from envs.tasks.franka import FrankaTask, pose_option
from envs.tasks.franka_config import FrankaTaskConfig
from envs.tasks.task import Outcome
from robotkit import spatial
from robotkit.schema import CellState, ComplianceParams, WorkspaceBox

_FAR_M = 100.0
_DOWN = (1.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class HandoverConfig(FrankaTaskConfig):
    """The numbers of `FrankaTaskConfig`, of the bar, and of the tray in the frame of this arm's base."""

    role: Literal["giver", "taker"] = "giver"
    """The giver's arm stands where the bar lies, the taker's where the tray is."""
    tray_in_base: tuple[float, float] = (0.36, 0.15)
    """Middle of the tray, x and y in m."""
    tray_half_size_m: tuple[float, float] = (0.13, 0.05)
    """Half the inner size of the tray, along x and y."""
    lying_m: float = 0.025
    """A bar whose middle is below this height lies."""
    grip_m: float = 0.075
    """Distance of an arm's grip from the middle of the bar."""
    bar_in_base: tuple[float, float, float] = (0.34, 0.1, 0.015)
    """Where the middle of the bar lies in a world that can place it, before randomisation."""
    bar_xy_m: tuple[float, float] = (0.02, 0.05)
    """Largest shift of the placed bar along x and along y."""
    bar_rz_rad: float = 0.2
    """Largest turn of the placed bar about the vertical."""
    open_min: float = 0.5
    """The taker has let go when its gripper is open by more than this (HIL-SERL)."""
    observes_object: bool = False
    """Adds `tcp_to_grip` and `object_to_goal` to the observation, which needs a tracker for "object"."""


class Handover(FrankaTask):
    """One arm's part of a handover: reward 1 when the bar lies in the tray and the taker's gripper is open.

    Only a cell with a tracker for "object" can tell that; elsewhere the reward stays 0, and a classifier has to.

    Observation, with `observes_object`: `tcp_to_grip` (4,), the displacement in m in base axes and the smallest turn
    about the vertical in rad that take the tool to this arm's end of the bar, and `object_to_goal` (3,), from the
    middle of the bar to where it lies in the middle of the tray.

    The giver's option `object_pose` (7,) places the bar, in the frame of its arm's base.
    """

    useful_trackers = ("object",)
    config: HandoverConfig

    def __init__(self, config: HandoverConfig) -> None:
        super().__init__(config)
        if config.role == "giver":
            self.option_names = ("tcp_pose", "object_pose")
        if config.observes_object:
            self.trackers = ("object",)
            grip = np.array((_FAR_M,) * 3 + (math.pi,), np.float32)
            self.state_space["tcp_to_grip"] = spaces.Box(-grip, grip, dtype=np.float32)
            self.state_space["object_to_goal"] = spaces.Box(-_FAR_M, _FAR_M, (3,), np.float32)

    def object_poses(self, np_random: np.random.Generator, options: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
        """The bar, which the giver's arm places: where the options say, or at a place that is drawn."""
        if self.config.role == "taker":
            return {}
        if "object_pose" in options:
            return {"object": pose_option(options, "object_pose")}
        reach_m, (x, y, z) = np.array(self.config.bar_xy_m), self.config.bar_in_base
        shift_m = np_random.uniform(-reach_m, reach_m)
        turn = np_random.uniform(-self.config.bar_rz_rad, self.config.bar_rz_rad)
        upright = spatial.quaternion_from_rotation_vector(np.array((0.0, 0.0, turn)))
        return {"object": np.array((x + shift_m[0], y + shift_m[1], z, *upright))}

    def observe(self, state: CellState) -> dict[str, np.ndarray]:
        """See the class."""
        observation = super().observe(state)
        if self.config.observes_object:
            observation["tcp_to_grip"] = self.tcp_to_grip(state).astype(np.float32)
            observation["object_to_goal"] = self.object_to_goal(state).astype(np.float32)
        return observation

    def tcp_to_grip(self, state: CellState) -> np.ndarray:
        """See the class."""
        tool, away = state.robot.tcp_pose_in_base, _away(state)
        straight = spatial.matrix_from_quaternion(tool[3:])[:, 0]
        turn = math.atan2(away[1], away[0]) - math.atan2(straight[1], straight[0])
        grip_m = state.poses["object"].pose_in_base[:3] - self.config.grip_m * away
        return np.append(grip_m - tool[:3], (turn + math.pi / 2) % math.pi - math.pi / 2)

    def turn_to_straight(self, state: CellState) -> float:
        """Angle in rad about the vertical that turns the bar along the x axis of this arm's base."""
        away = _away(state)
        return -math.atan2(away[1], away[0])

    def object_to_goal(self, state: CellState) -> np.ndarray:
        """See the class."""
        goal_m = np.array((*self.config.tray_in_base, self.config.bar_in_base[2]))
        way_m: np.ndarray = goal_m - state.poses["object"].pose_in_base[:3]
        return way_m

    def evaluate(self, state: CellState) -> Outcome:
        """See the class."""
        assert state.gripper is not None  # Task.require_measured has seen to it
        is_there = "object" in state.poses and self._lies_in_tray(state)
        is_done = is_there and (self.config.role == "giver" or state.gripper.position > self.config.open_min)
        return Outcome(float(is_done), is_done, is_done and self.config.terminates_on_success)

    def _lies_in_tray(self, state: CellState) -> bool:
        off_m, half_m = np.abs(self.object_to_goal(state)[:2]), np.array(self.config.tray_half_size_m)
        return bool((off_m < half_m).all() and state.poses["object"].pose_in_base[2] < self.config.lying_m)


def _away(state: CellState) -> np.ndarray:
    """Direction (3,) along the bar that leads away from this arm's base."""
    along: np.ndarray = spatial.matrix_from_quaternion(state.poses["object"].pose_in_base[3:])[:, 0]
    return along if along[0] >= 0.0 else -along


_TILT_RAD, _TURN_RAD = 0.3, 0.4
GIVER_VISION = HandoverConfig(
    target_pose_in_base=(0.425, 0.0, 0.22, *_DOWN),
    reset_pose_in_base=(0.38, 0.0, 0.25, *_DOWN),
    workspace=WorkspaceBox(
        position_min_m=(0.22, -0.25, 0.015),
        position_max_m=(0.428, 0.25, 0.45),
        reference_quaternion_xyzw=_DOWN,
        rotation_vector_min_rad=(-0.01, -_TILT_RAD, -_TURN_RAD),
        rotation_vector_max_rad=(0.01, 0.01, _TURN_RAD),
    ),
    translation_scale_m=0.04,
    rotation_scale_rad=0.2,
    lead_m=0.04,
    lead_rad=0.2,
    max_episode_length=200,
    gripper_at_reset=1.0,
    gripper_sleep_s=1.0,
    compliance=ComplianceParams(
        translational_stiffness_n_m=2000.0,
        rotational_stiffness_nm=120.0,
        rotational_damping_nms_rad=5.0,
        translational_clip_min_m=(-0.01, -0.005, -0.006),
        translational_clip_max_m=(0.0085, 0.005, 0.005),
        rotational_clip_min=(-0.02, -0.03, -0.02),
        rotational_clip_max=(0.02, 0.03, 0.02),
    ),
    precision=ComplianceParams(),
    image_keys=("wrist",),
    role="giver",
    tray_in_base=(0.64, -0.15),
    render_camera="side",
)
"""HIL-SERL's numbers (`experiments/object_handover/config.py`) in the cell `mujoco-object-handover-right`."""
TAKER_VISION = replace(
    GIVER_VISION,
    role="taker",
    tray_in_base=(0.36, 0.15),
    image_keys=("wrist", "side"),
    render_camera=None,
)
"""Those of the arm that takes, in the cell `mujoco-object-handover-left`, which has the tray before it."""
GIVER = replace(GIVER_VISION, image_keys=(), observes_object=True)
TAKER = replace(TAKER_VISION, image_keys=(), observes_object=True)
"""The task without cameras: the place of the bar is measured."""
