"""`EggFlipExpert`: a script that lets the egg slide to the back of the pan, throws it over the lip and catches it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from envs.core import ManipulationEnv
from envs.tasks.egg_flip import EggFlip
from robotkit import InvalidConfiguration

THROW = (
    (0.92, 0.18, 0.64),
    (0.32, 0.84, 0.82),
    (-0.08, 0.76, 0.15),
    (-0.93, 0.06, -0.62),
    (-0.8, 0.48, -0.42),
    (-0.85, 0.32, -0.65),
    (-0.2, -0.89, 0.95),
    (0.11, 0.2, 0.54),
)
"""Actions of the throw, found by a cross-entropy search in the simulation: along x, along z, about y."""


@dataclass(frozen=True)
class EggFlipStrategy:
    """Speeds, tolerances and the throw of the script."""

    tilt_rad: float = 0.25
    """Pitch of the pan at which the egg slides to its back."""
    back_m: float = 0.12
    """An egg that is nearer to the tool lies at the back."""
    settle_steps: int = 8
    """Least number of steps for which the pan is tilted before a throw."""
    throw: tuple[tuple[float, float, float], ...] = THROW
    """Actions along x, along z and about y."""
    gain: float = 0.4
    """Share of the remaining way that one action asks for before and after a throw. No action is 0, since a hand that
    does not steer leaves the step to the policy."""
    speed: float = 0.5
    """Largest action before and after a throw."""
    return_steps: int = 14
    """Steps after a throw before the next one is prepared."""


class EggFlipExpert:
    """An expert for any observation, of an environment whose cell tracks egg and pan.

    It throws without looking, since a throw takes less than a second, and keeps its own account of where its actions
    have sent the tool: what is measured lags behind that by some 0.2 s.

    Args:
        env: the environment that it will act in.
        strategy: how to go about it.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], strategy: EggFlipStrategy | None = None) -> None:
        core = env.unwrapped
        if not isinstance(core, ManipulationEnv) or not isinstance(core.task, EggFlip):
            raise InvalidConfiguration(f"this expert needs an environment of the egg flip, not {core}")
        self.strategy = strategy or EggFlipStrategy()
        self._task, self._workcell = core.task, core.workcell
        self._is_whole = env.action_space.shape == core.action_space.shape
        config = core.task.config
        self._scale = np.array((config.translation_scale_m, config.translation_scale_m, config.rotation_scale_rad))
        box, start = config.workspace, config.start
        self._low = np.append(box.position_min_m[[0, 2]] - start[[0, 2]], box.rotation_vector_min_rad[1])
        self._high = np.append(box.position_max_m[[0, 2]] - start[[0, 2]], box.rotation_vector_max_rad[1])
        self._sent = np.zeros(3)
        self._steps = 0

    def reset(self, observation: Any) -> None:
        """Start an episode."""
        self._sent = np.zeros(3)
        self._steps = 0

    def act(self, observation: Any) -> np.ndarray:
        """The next action, float32, in [-1, 1]: (3,), or (6,) where the environment takes six numbers."""
        moves = self._decide()
        self._sent = np.clip(self._sent + moves * self._scale, self._low, self._high)
        if not self._is_whole:
            return moves.astype(np.float32)
        action = np.zeros(6, np.float32)
        action[list(self._task.config.axes)] = moves
        return action

    def _decide(self) -> np.ndarray:
        """Tilt the pan until the egg lies at its back, throw, come back, and again."""
        strategy, step = self.strategy, self._steps
        self._steps += 1
        thrown = step - strategy.settle_steps
        if thrown < 0:
            return self._towards(np.array((0.0, 0.0, -strategy.tilt_rad)))
        if thrown == 0 and self._task.egg_in_pan(self._workcell.get_state())[0] > strategy.back_m:
            self._steps = step
            return self._towards(np.array((0.0, 0.0, -strategy.tilt_rad)))
        if thrown < len(strategy.throw):
            return np.array(strategy.throw[thrown])
        if thrown >= len(strategy.throw) + strategy.return_steps:
            self._steps = 0
        return self._towards(np.zeros(3))

    def _towards(self, goal: np.ndarray) -> np.ndarray:
        """The action towards a way (3,) from the start, in m, m and rad."""
        speed = self.strategy.speed
        moves: np.ndarray = np.clip(self.strategy.gain * (goal - self._sent) / self._scale, -speed, speed)
        return moves


def egg_flip(env: gymnasium.Env[Any, Any]) -> EggFlipExpert:
    """The expert of the egg flip."""
    return EggFlipExpert(env)
