"""`Reach`: bring the tool to a drawn point and keep it there, in any cell that has an arm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envs.actions import TargetDelta
from envs.tasks.cell_fit import require_fit
from envs.tasks.task import Outcome, Task
from robotkit import InvalidConfiguration, Workcell
from robotkit.schema import CellState, WorkspaceBox

GOAL_MIN_M, GOAL_MAX_M = (0.32, -0.15, 0.35), (0.48, 0.15, 0.47)
"""Goals, base frame: around the tool of a Franka arm in its ready configuration, whatever its gripper."""
TARGET_MIN_M, TARGET_MAX_M = (0.3, -0.2, 0.31), (0.55, 0.2, 0.5)
"""Where the actions may send the tool: a margin around the goals against friction, which leaves millimetres."""
POSITION_SCALE_M = 0.02
"""Scale of an action's translation; at 10 Hz this is 0.2 m/s, about as fast as SERL's impedance law lets the arm move:
clip times stiffness / damping."""
GRIPPER_DOWN_XYZW = (1.0, 0.0, 0.0, 0.0)
SUCCESS_M = 0.01
SUCCESS_STEPS = 5
_NEAR_PER_M, _FAR_PER_M = 50.0, 5.0
_BOUND_M, _BOUND_M_S = 100.0, 100.0


def reach_actions() -> TargetDelta:
    """Three numbers, a change of the commanded position; the gripper stays as it is."""
    return TargetDelta(POSITION_SCALE_M, None, TARGET_MIN_M, TARGET_MAX_M, GRIPPER_DOWN_XYZW)


class Reach(Task):
    """Observed are position and velocity of the tool, and the way from it to the goal, all in the base frame.

    Reward 0.5 exp(-5 d) + 0.5 exp(-50 d), with d the distance from tool to goal in metres: a slope from far away, and a
    steep one over the last centimetres. Success is a tool within 1 cm in five measurements in a row. Nothing terminates
    an episode: staying there goes on paying.
    """

    control_period_s = 0.1
    needs_gripper = False

    def __init__(self) -> None:
        self.state_space = spaces.Dict({
            "tcp_pos": _box(_BOUND_M),
            "tcp_vel": _box(_BOUND_M_S),
            "to_goal": _box(_BOUND_M),
        })  # fmt: skip
        self._goal_m = np.zeros(3)
        self._steps_there = 0

    def require_devices(self, workcell: Workcell) -> None:
        """Check the devices, and refuse a cell whose safety limits are narrower than the task needs."""
        super().require_devices(workcell)
        box = WorkspaceBox(
            position_min_m=TARGET_MIN_M,
            position_max_m=TARGET_MAX_M,
            reference_quaternion_xyzw=GRIPPER_DOWN_XYZW,
            rotation_vector_min_rad=(0.0, 0.0, 0.0),
            rotation_vector_max_rad=(0.0, 0.0, 0.0),
        )
        longest_m = math.sqrt(3.0) * POSITION_SCALE_M
        require_fit(type(self).__name__, workcell, box, longest_m, 0.0, self.control_period_s)

    def reset(self, workcell: Workcell, np_random: np.random.Generator, options: Mapping[str, Any]) -> CellState:
        """Bring the cell to its start; the goal is `options["goal_pos"]` (3,) in metres, or drawn from the box."""
        self._goal_m = _goal(options, np_random)
        self._steps_there = 0
        return workcell.reset(int(np_random.integers(2**31)) if workcell.can_place_objects else None)

    def observe(self, state: CellState) -> dict[str, np.ndarray]:
        """See the class."""
        position_m = state.robot.tcp_pose_in_base[:3]
        return {
            "tcp_pos": position_m.astype(np.float32),
            "tcp_vel": state.robot.tcp_twist_in_base[:3].astype(np.float32),
            "to_goal": (self._goal_m - position_m).astype(np.float32),
        }

    def evaluate(self, state: CellState) -> Outcome:
        """Evaluate one measurement after the other; `info` holds the distance in metres."""
        distance_m = math.dist(state.robot.tcp_pose_in_base[:3].tolist(), self._goal_m.tolist())
        self._steps_there = self._steps_there + 1 if distance_m < SUCCESS_M else 0
        reward = 0.5 * (math.exp(-_FAR_PER_M * distance_m) + math.exp(-_NEAR_PER_M * distance_m))
        return Outcome(reward, self._steps_there >= SUCCESS_STEPS, False, {"distance_m": distance_m})


def _goal(options: Mapping[str, Any], np_random: np.random.Generator) -> np.ndarray:
    unknown = sorted(set(options) - {"goal_pos"})
    if unknown:
        raise InvalidConfiguration(f"Reach knows no reset option {unknown}; it takes 'goal_pos'")
    if "goal_pos" not in options:
        return np_random.uniform(GOAL_MIN_M, GOAL_MAX_M)
    goal = np.asarray(options["goal_pos"], dtype=np.float64)
    if goal.shape != (3,) or not ((goal >= TARGET_MIN_M) & (goal <= TARGET_MAX_M)).all():
        raise InvalidConfiguration(
            f"goal_pos is three numbers in metres (base frame) from {TARGET_MIN_M} to {TARGET_MAX_M}, "
            f"got {options['goal_pos']!r}"
        )
    return goal


def _box(bound: float) -> spaces.Box:
    return spaces.Box(-bound, bound, (3,), np.float32)
