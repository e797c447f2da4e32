"""`PickCube`: reach a cube on the table, grasp it and lift it by 20 cm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envs.actions import TargetDelta
from envs.tasks.task import Outcome, Task
from robotkit import InvalidConfiguration, Workcell
from robotkit.schema import CellState, GripperCommand

POSITION_SCALE_M = 0.1
GRIPPER_SCALE = 1.0
TARGET_MIN_M = (0.2, -0.3, 0.0)
TARGET_MAX_M = (0.6, 0.3, 0.5)
GRIPPER_DOWN_XYZW = (1.0, 0.0, 0.0, 0.0)
BLOCK_XY_MIN_M = (0.25, -0.25)
BLOCK_XY_MAX_M = (0.55, 0.25)
BLOCK_HALF_SIZE_M = 0.02
SUCCESS_REWARD = 0.85
"""Grasped and lifted by about 16 cm; the threshold under which SERL's scripted and learned policies are counted."""
_LIFT_M = 0.2
_OPENING_S = 1.0
# Gymnasium's checker wants finite bounds; these are far beyond anything that can be measured on a table.
_POSITION_BOUND_M = 100.0
_SPEED_BOUND_M_S = 100.0


def pick_cube_actions() -> TargetDelta:
    """SERL's four numbers: target position x, y, z and grasp."""
    return TargetDelta(POSITION_SCALE_M, GRIPPER_SCALE, TARGET_MIN_M, TARGET_MAX_M, GRIPPER_DOWN_XYZW)


class PickCube(Task):
    """SERL's `PandaPickCube` (franka_sim, commit cd5f7e7), on any cell with a gripper and a tracker of the block.

    Reward 0.3 exp(-20 d) + 0.7 clip(h / 0.2 m, 0, 1), with d the distance from tool to block in metres and h how far
    the block was lifted since the reset. An episode never terminates by itself: holding the block high goes on paying.

    Args:
        image_cameras: cameras to observe. With any, the block's position is not observed, as in SERL.
    """

    control_period_s = 0.02
    trackers = ("block",)

    def __init__(self, image_cameras: tuple[str, ...] = ()) -> None:
        self.image_cameras = image_cameras
        parts: dict[str, spaces.Space[Any]] = {
            "panda/tcp_pos": _box(_POSITION_BOUND_M),
            "panda/tcp_vel": _box(_SPEED_BOUND_M_S),
            "panda/gripper_pos": spaces.Box(0.0, 1.0, (1,), np.float32),
        }
        if not image_cameras:
            parts["block_pos"] = _box(_POSITION_BOUND_M)
        self.state_space = spaces.Dict(parts)
        self._start_height_m = 0.0

    def reset(self, workcell: Workcell, np_random: np.random.Generator, options: Mapping[str, Any]) -> CellState:
        """Put the block at `options["block_xy"]` (2,) in metres, or anywhere in SERL's sampling box.

        Where objects cannot be placed, the gripper is opened and the block is taken where it lies.
        """
        block_xy = _block_xy(options)
        if workcell.can_place_objects or block_xy is not None:
            if block_xy is None:
                block_xy = np_random.uniform(BLOCK_XY_MIN_M, BLOCK_XY_MAX_M)
            pose = np.array((*block_xy, BLOCK_HALF_SIZE_M, 0.0, 0.0, 0.0, 1.0))
            state = workcell.reset(int(np_random.integers(2**31)), {"block": pose})
        else:
            workcell.step(None, GripperCommand(position=1.0), _OPENING_S)
            state = workcell.reset()
        self._start_height_m = float(state.poses["block"].pose_in_base[2])
        return state

    def observe(self, state: CellState) -> dict[str, np.ndarray]:
        """SERL's state; `panda/gripper_pos` is the commanded closure: 0 open, 1 closed."""
        robot, gripper = state.robot, state.gripper
        assert gripper is not None
        observation = {
            "panda/tcp_pos": robot.tcp_pose_in_base[:3].astype(np.float32),
            "panda/tcp_vel": robot.tcp_twist_in_base[:3].astype(np.float32),
            "panda/gripper_pos": np.array([1.0 - gripper.target_position], np.float32),
        }
        if not self.image_cameras:
            observation["block_pos"] = state.poses["block"].pose_in_base[:3].astype(np.float32)
        return observation

    def evaluate(self, state: CellState) -> Outcome:
        """The reward of the class docstring; success is a reward above 0.85."""
        block = state.poses["block"].pose_in_base[:3].tolist()
        distance_m = math.dist(block, state.robot.tcp_pose_in_base[:3].tolist())
        lift = min(max((block[2] - self._start_height_m) / _LIFT_M, 0.0), 1.0)
        reward = 0.3 * math.exp(-20.0 * distance_m) + 0.7 * lift
        return Outcome(reward, reward > SUCCESS_REWARD, False)


def _box(bound: float) -> spaces.Box:
    return spaces.Box(-bound, bound, (3,), np.float32)


def _block_xy(options: Mapping[str, Any]) -> np.ndarray | None:
    unknown = set(options) - {"block_xy"}
    if unknown:
        raise InvalidConfiguration(f"PickCube knows no reset option {sorted(unknown)}; it takes 'block_xy'")
    if "block_xy" not in options:
        return None
    block_xy = np.asarray(options["block_xy"], dtype=np.float64)
    if block_xy.shape != (2,) or not np.isfinite(block_xy).all():
        raise InvalidConfiguration(
            f"block_xy is two finite numbers in metres (base frame), got {options['block_xy']!r}"
        )
    return block_xy
