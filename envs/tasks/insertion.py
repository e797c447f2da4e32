"""`Insertion`: bring a part that the gripper holds into a socket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from envs.tasks.franka import FrankaTask, draw_near, pose_option
from envs.tasks.franka_config import PRECISION, FrankaTaskConfig
from envs.tasks.task import Outcome
from robotkit import Unsupported, spatial
from robotkit.schema import CellState, ComplianceParams, WorkspaceBox
from robotkit.schema.arrays import Array

_POSE = Array(7, unit_quaternion=True)
_FAR_M = 100.0

GRIPPER_DOWN = (1.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class InsertionConfig(FrankaTaskConfig):
    """The numbers of `FrankaTaskConfig`, some with the defaults of SERL's insertion tasks, and of part and socket."""

    gripper_penalty: float = 0.0
    precision: ComplianceParams | None = PRECISION
    image_keys: tuple[str, ...] = ("wrist_1", "wrist_2")

    part: str = "part"
    """Tracker of what the gripper holds."""
    socket: str = "socket"
    """Tracker of where it belongs."""
    part_in_socket: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    """Pose (7,) of the part when it is in, in the socket's frame."""
    socket_pose_in_base: tuple[float, ...] = (0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    """Where the socket stands in a world that can place it, before randomisation."""
    socket_xy_m: float = 0.0
    """Largest shift of the socket along x and along y."""
    socket_rz_rad: float = 0.0
    """Largest turn of the socket about the vertical."""
    observes_goal: bool = False
    """Adds `part_to_goal` to the observation, which needs both trackers."""


class Insertion(FrankaTask):
    """Reward 1 when the part is in its socket.

    Where the cell tracks part and socket, the part decides, with the config's thresholds about its goal: a part that
    has slipped or fallen is no success, wherever the tool is. Elsewhere, as on SERL's robot, the tool decides.

    Observation, with `observes_goal`: `part_to_goal` (6,), the displacement in m and the rotation vector in rad that
    take the part to its goal, in base axes as the actions are.
    """

    option_names: tuple[str, ...] = ("tcp_pose", "socket_pose")
    config: InsertionConfig

    def __init__(self, config: InsertionConfig) -> None:
        super().__init__(config)
        self._part_in_socket = _POSE.validate(config.part_in_socket)
        self._socket_home = _POSE.validate(config.socket_pose_in_base)
        self.useful_trackers = (config.part, config.socket)
        if config.observes_goal:
            self.trackers = (config.part, config.socket)
            high = np.array((_FAR_M,) * 3 + (np.pi + 1e-6,) * 3, np.float32)
            self.state_space["part_to_goal"] = spaces.Box(-high, high, dtype=np.float32)

    def object_poses(self, np_random: np.random.Generator, options: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
        """The socket where the options say, or near its home."""
        config = self.config
        if "socket_pose" in options:
            return {config.socket: pose_option(options, "socket_pose")}
        return {config.socket: draw_near(self._socket_home, config.socket_xy_m, config.socket_rz_rad, np_random)}

    def begin(self, state: CellState, np_random: np.random.Generator, options: Mapping[str, Any]) -> None:
        """Work out where the tool has to go, from how it holds the part."""
        goal = self.goal(state)
        if goal is not None:
            held = spatial.relative_pose(state.robot.tcp_pose_in_base, self._pose(state, self.config.part))
            self.target = spatial.compose(goal, spatial.inverse(held))

    def goal(self, state: CellState) -> np.ndarray | None:
        """The goal pose of the part, (7,) in the base frame; None where part or socket are not tracked."""
        if self.config.part not in state.poses or self.config.socket not in state.poses:
            return None
        return spatial.compose(self._pose(state, self.config.socket), self._part_in_socket)

    def observe(self, state: CellState) -> dict[str, np.ndarray]:
        """See the class."""
        observation = super().observe(state)
        if self.config.observes_goal:
            observation["part_to_goal"] = self.part_to_goal(state).astype(np.float32)
        return observation

    def part_to_goal(self, state: CellState) -> np.ndarray:
        """Displacement in m and rotation vector in rad (6,), in base axes, that take the part to its goal.

        Raises:
            Unsupported: the cell does not track both.
        """
        goal = self.goal(state)
        if goal is None:
            raise Unsupported(f"this needs trackers for {self.config.part!r} and {self.config.socket!r}; the cell has: "
                              f"{', '.join(state.poses) or 'none'}")  # fmt: skip
        part = self._pose(state, self.config.part)
        return np.concatenate((goal[:3] - part[:3], spatial.rotation_vector_between(part[3:], goal[3:])))

    def evaluate(self, state: CellState) -> Outcome:
        """See the class."""
        goal = self.goal(state)
        if goal is None:
            return super().evaluate(state)
        is_in = self.is_at(goal, self._pose(state, self.config.part))
        return Outcome(float(is_in), is_in, is_in and self.config.terminates_on_success)

    @staticmethod
    def _pose(state: CellState, tracker: str) -> np.ndarray:
        return state.poses[tracker].pose_in_base


def box_over(
    target_m: tuple[float, float, float],
    xy_m: float,
    *,
    below_m: float,
    above_m: float,
    tilt_rad: float,
    turn_rad: float,
) -> WorkspaceBox:
    """The box of a tool that points down, about its target, (3,) in the base frame.

    Args:
        target_m: where the tool is when the part is in.
        xy_m: reach along x and along y.
        below_m: reach downwards.
        above_m: reach upwards.
        tilt_rad: reach of the rotation vector along x and along y.
        turn_rad: its reach along z.
    """
    x, y, z = target_m
    turns = np.array((tilt_rad, tilt_rad, turn_rad))
    return WorkspaceBox(
        position_min_m=(x - xy_m, y - xy_m, z - below_m),
        position_max_m=(x + xy_m, y + xy_m, z + above_m),
        reference_quaternion_xyzw=GRIPPER_DOWN,
        rotation_vector_min_rad=-turns,
        rotation_vector_max_rad=turns,
    )
