"""An environment whose frames pass for success as a script says, and the rules that decide when they are paid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

ACTION = np.zeros(1, np.float32)


class Script(gym.Env):
    """Shows one number a step, the same in every episode, and ends only when its script does.

    Args:
        numbers: shown after each step; the logit of success for the classifiers here.
        torn: steps, from 0, that did not follow from their actions.
        steps_hz: how many steps it takes a second; None does not tell.
    """

    observation_space = gym.spaces.Box(-10.0, 10.0, (1,), np.float32)
    action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, numbers: Sequence[float], torn: Sequence[int] = (), steps_hz: float | None = None) -> None:
        self.metadata = {"render_modes": [], **({} if steps_hz is None else {"render_fps": steps_hz})}
        self._numbers, self._torn = list(numbers), set(torn)
        self._step = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._step = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        shown = np.array([self._numbers[self._step]], np.float32)
        info = {"is_torn": True} if self._step in self._torn else {}
        self._step += 1
        return shown, 7.0, False, self._step == len(self._numbers), info


def logits(passes: Sequence[bool]) -> list[float]:
    """Numbers that pass for success, or not."""
    return [5.0 if one else -5.0 for one in passes]


def paid_by_rule(passes: Sequence[bool], frames: int) -> list[bool]:
    """Whether each step is paid where `frames` in a row must pass, and the episode goes on; the law, naively."""
    return [step + 1 >= frames and all(passes[step + 1 - frames : step + 1]) for step in range(len(passes))]


def run_episode(env: gym.Env) -> list[tuple[float, bool, bool, dict[str, Any]]]:
    """The reward, the ends and the info of each step of an episode."""
    env.reset()
    steps = []
    while not steps or not (steps[-1][1] or steps[-1][2]):
        steps.append(env.step(ACTION)[1:])
    return steps
