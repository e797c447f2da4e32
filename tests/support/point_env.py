"""`PointReach`: a point is to be moved to a target; cheap, learnable in a thousand steps, and with faults to order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

EPISODE_STEPS = 20
NEAR = 0.25


@dataclass(frozen=True)
class Faults:
    """What is wrong with the environment; nothing by default."""

    reward_scale: float = 1.0
    pays_success_alone: bool = False
    """The reward is 1 for a success, which ends the episode."""
    constant_reward: float | None = None
    pays_for_speed: bool = False
    """The reward is the larger the farther the action goes, whichever way the target lies."""
    huge_reward_after: int | None = None
    target_distance: float = 0.0
    """Distance by which the target is farther away than the point can go."""
    frozen_after: int | None = None
    scale_of_first: float = 1.0
    late_share: float | None = None
    """Share of late steps; None: the environment does not measure its steps."""
    helped_share: float = 0.0
    """Share of the steps in which a human acts; negative: it falls from there to 0 over 60 episodes."""
    false_payments: float | None = None
    """Share of the failed episodes that a classifier calls successes; None: there is no classifier."""


class PointReach(gym.Env):
    """The position of a point and that of its target, four numbers; an action moves the point."""

    observation_space = gym.spaces.Box(-1e9, 1e9, (4,), np.float32)
    action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def __init__(self, faults: Faults | None = None) -> None:
        self._faults = faults or Faults()
        self._taken = self._episodes = 0
        self._stuck: np.ndarray | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._steps = 0
        self._point, self._target = self.np_random.uniform(-1.0, 1.0, (2, 2))
        self._target = self._target + self._faults.target_distance
        self._episodes += 1
        return self._observe(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        info: dict[str, Any] = {}
        helped = self._faults.helped_share
        share = helped if helped >= 0 else -helped * max(0.0, 1.0 - self._episodes / 60)
        if self._steps >= EPISODE_STEPS * (1.0 - share):
            action = info["intervene_action"] = expert(self._observe())
        self._point = np.clip(self._point + 0.3 * np.asarray(action, np.float64), -1.5, 1.5)
        self._steps += 1
        self._taken += 1
        distance = float(np.linalg.norm(self._point - self._target))
        is_over = self._steps >= EPISODE_STEPS
        info["success"] = distance < NEAR
        self._measure(info, is_over)
        is_won = self._faults.pays_success_alone and bool(info["success"])
        return self._observe(), self._reward(distance, action), is_won, is_over, info

    def _measure(self, info: dict[str, Any], is_over: bool) -> None:
        faults = self._faults
        if faults.late_share is not None:
            is_late = self.np_random.random() < faults.late_share
            info |= {"overrun_s": 0.05 if is_late else 0.001, "is_torn": False}
        if faults.false_payments is not None:
            info["env_success"] = info["success"]
            info["success"] = info["success"] or bool(is_over and self.np_random.random() < faults.false_payments)

    def _reward(self, distance: float, action: np.ndarray) -> float:
        faults = self._faults
        if faults.constant_reward is not None:
            return faults.constant_reward
        if faults.pays_success_alone:
            return float(distance < NEAR)
        if faults.pays_for_speed:
            return faults.reward_scale * float(np.sum(action))
        if faults.huge_reward_after is not None and self._taken > faults.huge_reward_after:
            return 1e25
        return faults.reward_scale * (1.0 - distance)

    def _observe(self) -> np.ndarray:
        seen = np.concatenate([self._point, self._target]).astype(np.float32)
        seen[0] *= self._faults.scale_of_first
        if self._faults.frozen_after is not None and self._taken >= self._faults.frozen_after:
            self._stuck = seen.copy() if self._stuck is None else self._stuck
            seen[2:] = self._stuck[2:]
        return seen


def expert(observation: np.ndarray) -> np.ndarray:
    """Move straight to the target."""
    return np.clip((observation[2:] - observation[:2]) / 0.3, -1.0, 1.0).astype(np.float32)


gym.register("PointReach-v0", PointReach)
