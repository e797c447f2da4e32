"""SERL's bin relocation: carry an object from one bin to the other, and back, without end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium import spaces

from envs.actions import BinaryGripper
from envs.actions.keep_out import KeepOutPoseDelta
from envs.tasks.franka import FrankaTask, pose_delta_config, pose_option
from envs.tasks.franka_config import PRECISION, FrankaTaskConfig
from envs.tasks.task import Outcome
from robotkit import InvalidConfiguration, Workcell, spatial
from robotkit.schema import CellState, ComplianceParams, GripperCommand, WorkspaceBox

FORWARD, BACKWARD = 0, 1
_OPENING_S = 0.5
_FAR_M = 100.0


@dataclass(frozen=True)
class BinRelocationConfig(FrankaTaskConfig):
    """The numbers of `FrankaTaskConfig`, and of bins and object."""

    bins_in_base: tuple[tuple[float, float], tuple[float, float]] = ((0.5, 0.085), (0.5, -0.085))
    """Middle of bin 0 and of bin 1, x and y in m."""
    bin_half_size_m: tuple[float, float, float] = (0.13, 0.05, 0.02)
    """Half the inner size of a bin, along x, y and z."""
    keep_out_min_m: tuple[float, float, float] = (0.43, -0.045, 0.0)
    """The tool stays out of this box around the walls between the bins (SERL's `inner_safety_box`)."""
    keep_out_max_m: tuple[float, float, float] = (0.57, 0.045, 0.08)
    task_id: int = FORWARD
    """Where a first episode carries the object: 0 from bin 0 to bin 1, 1 back."""
    is_reset_free: bool = False
    """The object stays where an episode left it, and the task is the one that starts there (SERL). Otherwise a world
    that can place objects puts it into the bin where the task starts."""
    object_xy_m: tuple[float, float] = (0.04, 0.025)
    """Largest distance of the placed object from the bin's middle, along x and along y."""
    object_rz_rad: float = 0.4
    """Largest turn of the placed object about the vertical."""
    object_height_m: float = 0.015
    """Height of the object's middle, when it lies on the table."""
    observes_object: bool = False
    """Adds `tcp_to_object` and `object_to_goal` to the observation, which needs a tracker for "object"."""


class BinRelocation(FrankaTask):
    """A task with reward 1 when the object lies in the goal bin and the gripper has released it.

    Only a cell with a tracker for "object" can tell that; elsewhere the reward stays 0 and a classifier has to
    (`envs.wrappers.TaskGraphRewardClassifier`, with `option="task_id"`).

    Observation, with `observes_object`: `tcp_to_object` (4,), the displacement in m in base axes and the smallest turn
    about the vertical in rad that take the tool to a grasp, and `object_to_goal` (3,), from the object to the middle of
    the goal bin.
    """

    option_names = ("tcp_pose", "task_id", "object_pose")
    useful_trackers = ("object",)
    config: BinRelocationConfig

    def __init__(self, config: BinRelocationConfig) -> None:
        super().__init__(config)
        self.task_id = config.task_id
        self._is_object_lost = False
        if config.observes_object:
            self.trackers = ("object",)
            grasp = np.array((_FAR_M,) * 3 + (math.pi,), np.float32)
            self.state_space["tcp_to_object"] = spaces.Box(-grasp, grasp, dtype=np.float32)
            self.state_space["object_to_goal"] = spaces.Box(-_FAR_M, _FAR_M, (3,), np.float32)

    def reset(self, workcell: Workcell, np_random: np.random.Generator, options: Mapping[str, Any]) -> CellState:
        """Choose the task, then as every `FrankaTask`; see `next_task`."""
        self.task_id = self.next_task(workcell.get_state(), options)
        return super().reset(workcell, np_random, options)

    def next_task(self, state: CellState, options: Mapping[str, Any]) -> int:
        """The task of the options; otherwise, without resets, the task that starts in the bin where the object is.

        An object that lies in neither bin leaves the task as it is, and is put back where objects can be placed.
        """
        lies_in = self.bin_of(state)
        self._is_object_lost = lies_in is None
        if "task_id" in options:
            if options["task_id"] not in (FORWARD, BACKWARD):
                raise InvalidConfiguration(f"task_id is 0 (forward) or 1 (backward), got {options['task_id']!r}")
            return int(options["task_id"])
        if not self.config.is_reset_free:
            return self.config.task_id
        return self.task_id if lies_in is None else lies_in

    def bin_of(self, state: CellState) -> int | None:
        """Number of the bin that the object is in; None for neither, or where it is not tracked."""
        if "object" not in state.poses:
            return None
        x, y, z = state.poses["object"].pose_in_base[:3].tolist()
        half_x, half_y, half_z = self.config.bin_half_size_m
        for number, (bin_x, bin_y) in enumerate(self.config.bins_in_base):
            if abs(x - bin_x) < half_x and abs(y - bin_y) < half_y and z < 2.0 * half_z:
                return number
        return None

    def start_pose(self, np_random: np.random.Generator, options: Mapping[str, Any]) -> np.ndarray:
        """Above the bin where the task starts."""
        pose = super().start_pose(np_random, options)
        if "tcp_pose" in options:
            return pose
        over = np.array((*self.config.bins_in_base[self.task_id], 0.0)) - (*self.config.start[:2], 0.0)
        return spatial.integrate_delta(pose, over, np.zeros(3))

    def object_poses(
        self, np_random: np.random.Generator, options: Mapping[str, Any]
    ) -> Mapping[str, np.ndarray] | None:
        """The object where the options say, else in the bin where the task starts, else where it is."""
        if "object_pose" in options:
            return {"object": pose_option(options, "object_pose")}
        if self.config.is_reset_free and not self._is_object_lost:
            return None
        reach_m = np.array(self.config.object_xy_m)
        position_m = np.array(self.config.bins_in_base[self.task_id]) + np_random.uniform(-reach_m, reach_m)
        turn = np_random.uniform(-self.config.object_rz_rad, self.config.object_rz_rad)
        upright = spatial.quaternion_from_rotation_vector(np.array((0.0, 0.0, turn)))
        return {"object": np.array((*position_m, self.config.object_height_m, *upright))}

    def leave(self, workcell: Workcell) -> None:
        """Let go, wait for the fingers, then straight up."""
        workcell.step(None, GripperCommand(position=1.0), _OPENING_S)
        super().leave(workcell)

    def observe(self, state: CellState) -> dict[str, np.ndarray]:
        """See the class."""
        observation = super().observe(state)
        if self.config.observes_object:
            observation["tcp_to_object"] = self.tcp_to_object(state).astype(np.float32)
            observation["object_to_goal"] = self.object_to_goal(state).astype(np.float32)
        return observation

    def tcp_to_object(self, state: CellState) -> np.ndarray:
        """See the class."""
        tool, thing = state.robot.tcp_pose_in_base, state.poses["object"].pose_in_base
        turn = _heading_rad(thing[3:]) - _heading_rad(tool[3:])
        return np.append(thing[:3] - tool[:3], (turn + math.pi / 4) % (math.pi / 2) - math.pi / 4)

    def object_to_goal(self, state: CellState) -> np.ndarray:
        """See the class."""
        goal_m = np.array((*self.config.bins_in_base[1 - self.task_id], self.config.object_height_m))
        way_m: np.ndarray = goal_m - state.poses["object"].pose_in_base[:3]
        return way_m

    def evaluate(self, state: CellState) -> Outcome:
        """See the class."""
        assert state.gripper is not None  # Task.require_measured has seen to it
        is_there = self.bin_of(state) == 1 - self.task_id and not state.gripper.is_grasping
        return Outcome(
            float(is_there), is_there, is_there and self.config.terminates_on_success, {"task_id": self.task_id}
        )


def bin_relocation_actions(config: BinRelocationConfig) -> KeepOutPoseDelta:
    """SERL's seven numbers, outside the box around the inner walls."""
    gripper = BinaryGripper(config.gripper_threshold, config.gripper_sleep_s)
    return KeepOutPoseDelta(pose_delta_config(config), config.keep_out_min_m, config.keep_out_max_m, gripper)


def _heading_rad(quaternion: np.ndarray) -> float:
    """Angle about the vertical of whichever of the body's x and y axes lies flatter."""
    x_axis, y_axis = spatial.matrix_from_quaternion(quaternion).T[:2]
    flat = x_axis if abs(x_axis[2]) <= abs(y_axis[2]) else y_axis
    return math.atan2(flat[1], flat[0])


_X_M, _Y_M, _GRASP_M = 0.5, 0.0, 0.022
_QUARTER_TURN = (math.sqrt(0.5), math.sqrt(0.5), 0.0, 0.0)
"""Gripper down, fingers along x: the bins are narrow along y."""
_TILT_RAD, _RZ_RAD = 0.01, math.pi / 6

BIN_VISION = BinRelocationConfig(
    target_pose_in_base=(_X_M, _Y_M, _GRASP_M, *_QUARTER_TURN),
    reset_pose_in_base=(_X_M, _Y_M, _GRASP_M + 0.1, *_QUARTER_TURN),
    workspace=WorkspaceBox(
        position_min_m=(_X_M - 0.07, _Y_M - 0.15, _GRASP_M - 0.001),
        position_max_m=(_X_M + 0.07, _Y_M + 0.15, _GRASP_M + 0.1),
        reference_quaternion_xyzw=_QUARTER_TURN,
        rotation_vector_min_rad=(-_TILT_RAD, -_TILT_RAD, -_RZ_RAD),
        rotation_vector_max_rad=(_TILT_RAD, _TILT_RAD, _RZ_RAD),
    ),
    translation_scale_m=0.05,
    rotation_scale_rad=0.1,
    lead_m=0.05,
    lift_m=0.05,
    gripper_at_reset=1.0,
    gripper_penalty=-0.1,
    gripper_penalty_goes_to="reward",
    compliance=ComplianceParams(
        translational_clip_min_m=(-0.006, -0.006, -0.005),
        translational_clip_max_m=(0.006, 0.006, 0.005),
        rotational_clip_min=(-0.05, -0.05, -0.02),
        rotational_clip_max=(0.05, 0.05, 0.02),
    ),
    precision=PRECISION,
    image_keys=("wrist_1", "front"),
    is_reset_free=True,
)
"""SERL's numbers (`bin_env/config.py`), about the bins of the cell `mujoco-bin-relocation`."""
BIN = replace(
    BIN_VISION, image_keys=(), gripper_penalty=-0.02, gripper_penalty_goes_to="info", is_reset_free=False,
    observes_object=True,
)  # fmt: skip
"""The task without cameras: the object's place is measured, and each episode starts from a placed object."""
