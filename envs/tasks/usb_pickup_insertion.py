"""HIL-SERL's USB pick-up and insertion: a plug on the table, to be grasped, put into a port and released."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium import spaces

from envs.images import ImageView
from envs.tasks.franka import draw_near, pose_option
from envs.tasks.insertion import Insertion, InsertionConfig
from envs.tasks.task import Outcome
from robotkit import Workcell, spatial
from robotkit.schema import CellState, ComplianceParams, GripperCommand, WorkspaceBox
from robotkit.schema.arrays import Array
from robotkit.workspace import clip_pose

_FINGERS_S = 0.6
_POSE = Array(7, unit_quaternion=True)
_FAR_M = 100.0


@dataclass(frozen=True)
class PickupInsertionConfig(InsertionConfig):
    """The numbers of `InsertionConfig`, and of a part that lies somewhere and is picked up first."""

    part_pose_in_base: tuple[float, ...] = (0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    """Where the part lies in a world that can place it, before randomisation."""
    part_xy_m: float = 0.0
    """Largest shift of the part along x and along y."""
    part_rz_rad: float = 0.0
    """Largest turn of the part about the vertical."""
    grasp_in_part: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    """Pose (7,) of the tool that grasps the part, in the part's frame."""
    pull_out_m: float = 0.04
    """How far a reset pulls the part out of its socket, where the part cannot be placed."""
    released_opening: float = 0.4
    """A gripper that is opened wider than this has released the part (HIL-SERL)."""


class PickupInsertion(Insertion):
    """A task with reward 1 when the part is in its socket and the gripper has released it.

    Only a cell that tracks part and socket can tell that; elsewhere the reward stays 0 and a classifier has to.

    Observation, with `observes_goal`: `part_to_goal` (6,) as in `Insertion`, and `tcp_to_grasp` (6,), the displacement
    in m and the rotation vector in rad, in base axes, that take the tool to where it grasps the part.
    """

    option_names = ("tcp_pose", "socket_pose", "part_pose")
    config: PickupInsertionConfig

    def __init__(self, config: PickupInsertionConfig) -> None:
        super().__init__(config)
        self._part_home = _POSE.validate(config.part_pose_in_base)
        self._grasp_in_part = _POSE.validate(config.grasp_in_part)
        if config.observes_goal:
            high = np.array((_FAR_M,) * 3 + (np.pi + 1e-6,) * 3, np.float32)
            self.state_space["tcp_to_grasp"] = spaces.Box(-high, high, dtype=np.float32)

    def object_poses(self, np_random: np.random.Generator, options: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
        """Socket and part where the options say, or near their homes."""
        config = self.config
        poses = dict(super().object_poses(np_random, options))
        if "part_pose" in options:
            return poses | {config.part: pose_option(options, "part_pose")}
        return poses | {config.part: draw_near(self._part_home, config.part_xy_m, config.part_rz_rad, np_random)}

    def leave(self, workcell: Workcell) -> None:
        """Let go, go up, grasp what is in the socket and pull it out (HIL-SERL); the reset lets go of it there."""
        _move_fingers(workcell, 1.0)
        super().leave(workcell)
        for shift_m in ((0.0, 0.0, self.config.lift_m), (0.0, 0.0, 0.0)):
            self.motion.run(workcell, self._beside_target(np.array(shift_m)))
        _move_fingers(workcell, 0.0)
        outwards = spatial.matrix_from_quaternion(self._socket_home[3:])[:, 2]
        self.motion.run(workcell, self._beside_target(self.config.pull_out_m * outwards))

    def _beside_target(self, shift_m: np.ndarray) -> np.ndarray:
        return clip_pose(spatial.integrate_delta(self.target, shift_m, np.zeros(3)), self.config.workspace)

    def begin(self, state: CellState, np_random: np.random.Generator, options: Mapping[str, Any]) -> None:
        """Work out where the tool has to go, holding the part by its grasp."""
        goal = self.goal(state)
        if goal is not None:
            self.target = spatial.compose(goal, self._grasp_in_part)

    def observe(self, state: CellState) -> dict[str, np.ndarray]:
        """See the class."""
        observation = super().observe(state)
        if self.config.observes_goal:
            observation["tcp_to_grasp"] = self.tcp_to_grasp(state).astype(np.float32)
        return observation

    def tcp_to_grasp(self, state: CellState) -> np.ndarray:
        """See the class."""
        grasp = spatial.compose(self._pose(state, self.config.part), self._grasp_in_part)
        tool = state.robot.tcp_pose_in_base
        return np.concatenate((grasp[:3] - tool[:3], spatial.rotation_vector_between(tool[3:], grasp[3:])))

    def evaluate(self, state: CellState) -> Outcome:
        """See the class."""
        assert state.gripper is not None  # Task.require_measured has seen to it
        is_there = (
            self.goal(state) is not None
            and super().evaluate(state).is_success
            and state.gripper.position > self.config.released_opening
        )
        return Outcome(float(is_there), is_there, is_there and self.config.terminates_on_success)


def _move_fingers(workcell: Workcell, opening: float) -> None:
    """Ask for an opening, and give the fingers the time that they need."""
    workcell.step(None, GripperCommand(position=opening), _FINGERS_S)


_X_M, _TARGET_Y_M, _PORT_M, _LYING_M, _GRASP_M = 0.5, -0.03, 0.04, 0.01, 0.011
"""Middle of a plug that is in the port, its height there and on the table, and how far above it the tool is."""
_HALF_PLUG_M = 0.016
_ROOT = math.sqrt(0.5)
_QUARTER_TURN = (_ROOT, _ROOT, 0.0, 0.0)
"""Gripper down, fingers along x, on both sides of the plug."""
_TARGET = (_X_M, _TARGET_Y_M, _PORT_M + _GRASP_M, *_QUARTER_TURN)

USB_VISION = PickupInsertionConfig(
    target_pose_in_base=_TARGET,
    reset_pose_in_base=(_X_M, _TARGET_Y_M + 0.03, _TARGET[2] + 0.05, *_QUARTER_TURN),
    workspace=WorkspaceBox(
        position_min_m=(_X_M - 0.03, _TARGET_Y_M - 0.01, _TARGET[2] - 0.03),
        position_max_m=(_X_M + 0.03, _TARGET_Y_M + 0.06, _TARGET[2] + 0.05),
        reference_quaternion_xyzw=_QUARTER_TURN,
        rotation_vector_min_rad=(-0.1, -0.1, -0.3),
        rotation_vector_max_rad=(0.1, 0.1, 0.3),
    ),
    threshold_m=(0.003, 0.0015, 0.003),
    threshold_rad=(0.12, 0.12, 0.12),
    translation_scale_m=0.015,
    rotation_scale_rad=0.1,
    lead_m=0.01,
    lead_rad=0.05,
    max_episode_length=120,
    reset_xy_m=0.01,
    reset_rz_rad=0.1,
    lift_m=0.05,
    gripper_at_reset=1.0,
    gripper_penalty=-0.02,
    compliance=ComplianceParams(
        translational_clip_min_m=(-0.005, -0.005, -0.0035),
        translational_clip_max_m=(0.006, 0.0059, 0.0035),
        rotational_clip_min=(-0.02, -0.02, -0.015),
        rotational_clip_max=(0.02, 0.02, 0.015),
    ),
    precision=ComplianceParams(rotational_clip_min=(-0.03, -0.03, -0.03), rotational_clip_max=(0.03, 0.03, 0.03)),
    image_keys=("side_policy", "wrist_1", "wrist_2"),
    image_views={"side_policy": ImageView("front", 0.2, 0.95, 0.1, 0.85)},
    part="plug",
    socket="port",
    part_in_socket=(0.0, 0.0, _HALF_PLUG_M, _ROOT, 0.0, 0.0, _ROOT),
    socket_pose_in_base=(_X_M, _TARGET_Y_M - _HALF_PLUG_M, _PORT_M, -_ROOT, 0.0, 0.0, _ROOT),
    part_pose_in_base=(_X_M, 0.005, _LYING_M, 0.0, 0.0, 0.0, 1.0),
    part_xy_m=0.01,
    part_rz_rad=0.2,
    grasp_in_part=(0.0, 0.0, _GRASP_M, *_QUARTER_TURN),
)
"""HIL-SERL's numbers (`experiments/usb_pickup_insertion/config.py`), about port and plug of the cell
`mujoco-usb-pickup-insertion`; the original's plug lies where a reset has dropped it."""
USB = replace(USB_VISION, image_keys=(), image_views={}, observes_goal=True)
"""The task without cameras: the places of plug and port are measured instead."""
