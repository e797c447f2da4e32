"""`TargetDelta`: SERL's pick-cube actions, a change of the commanded position and, if wanted, of the gripper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium import spaces

from envs.actions.action_map import ActionMap, clip
from envs.actions.pose_delta import towards
from robotkit.schema import CellState, GripperCommand, PoseCommand

_TURN_BACK_RAD = 0.05
"""Largest turn of one target towards the orientation that the actions keep."""
_ROUNDING_M = 1e-6


class TargetDelta(ActionMap):
    """Moves the commanded position, never the measured one, by (x, y, z), and the gripper by the fourth number.

    SERL's pick-cube actions (franka_sim, `panda_pick_gym_env.py`): steady errors of the controller do not add up, and
    the orientation stays as given. A positive fourth number closes the gripper.

    An arm that is outside the box, or turned, is brought back in steps of at most `position_scale_m` and 0.05 rad.

    Args:
        position_scale_m: metres of target motion for an action of 1.
        gripper_scale: change of the normalised opening for an action of 1; None leaves three numbers and no gripper.
        position_min_m: lower corner of the box that targets stay in, base frame.
        position_max_m: upper corner.
        quaternion_xyzw: orientation of every target.
    """

    def __init__(
        self,
        position_scale_m: float,
        gripper_scale: float | None,
        position_min_m: Sequence[float],
        position_max_m: Sequence[float],
        quaternion_xyzw: Sequence[float],
    ) -> None:
        self.space = spaces.Box(-1.0, 1.0, (3 if gripper_scale is None else 4,), np.float32)
        self.meaning = "x, y, z" if gripper_scale is None else "x, y, z, grasp"
        self._position_scale_m = position_scale_m
        self._gripper_scale = gripper_scale
        self._position_min_m = tuple(position_min_m)
        self._position_max_m = tuple(position_max_m)
        self._quaternion_xyzw = list(quaternion_xyzw)
        self._pose: list[float] = []
        self._opening = 1.0
        self._epoch = -1

    def reset(self, state: CellState) -> None:
        """Start from the measured pose and the gripper's target."""
        self._take(state, state.robot.tcp_pose_in_base)

    def __call__(self, action: np.ndarray) -> tuple[PoseCommand, GripperCommand | None]:
        """See `ActionMap`; plain floats, because numpy costs more than the arithmetic on four numbers."""
        x, y, z, *grasp = self.parse(action, bool(self._pose))
        (at_x, at_y, at_z, *at_quaternion), scale = self._pose, self._position_scale_m
        (low_x, low_y, low_z), (high_x, high_y, high_z) = self._position_min_m, self._position_max_m
        pose = np.array((
            clip(at_x + x * scale, low_x, high_x),
            clip(at_y + y * scale, low_y, high_y),
            clip(at_z + z * scale, low_z, high_z),
            *self._quaternion_xyzw,
        ))  # fmt: skip
        is_outside = not (
            low_x - _ROUNDING_M <= at_x <= high_x + _ROUNDING_M
            and low_y - _ROUNDING_M <= at_y <= high_y + _ROUNDING_M
            and low_z - _ROUNDING_M <= at_z <= high_z + _ROUNDING_M
        )
        if is_outside or at_quaternion != self._quaternion_xyzw:
            reach_m = scale if is_outside else np.inf
            pose = towards(np.array(self._pose), pose, reach_m, _TURN_BACK_RAD)
        command = PoseCommand.unchecked(kind="pose", tcp_pose_in_base=pose)
        if self._gripper_scale is None:
            return command, None
        opening = clip(self._opening - grasp[0] * self._gripper_scale, 0.0, 1.0)
        return command, GripperCommand.unchecked(position=opening)

    def follow(self, state: CellState) -> None:
        """Take the accepted pose and the gripper's target as the new origin; see `ActionMap`."""
        if state.robot.target_epoch != self._epoch:
            self._take(state, state.robot.tcp_pose_in_base)
        else:
            self._take(state, state.accepted.tcp_pose_in_base if isinstance(state.accepted, PoseCommand) else None)

    def _take(self, state: CellState, pose: np.ndarray | None) -> None:
        if pose is not None:
            self._pose = pose.tolist()
        self._epoch = state.robot.target_epoch
        if self._gripper_scale is not None:
            assert state.gripper is not None  # Task.require_measured has seen to it
            self._opening = state.gripper.target_position
