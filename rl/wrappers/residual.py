"""`ResidualActions`: a frozen base policy acts, and an agent's actions are bounded corrections of its actions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, SupportsFloat, runtime_checkable

import gymnasium as gym
import numpy as np

from rl.errors import EnvironmentFailed
from rl.utils.tally import Tally
from rl.wrappers.base_observation import add_base_action, add_base_space, executed_action, residual_of
from rl.wrappers.residual_config import ResidualConfig

logger = logging.getLogger(__name__)

_INTERVENE_ACTION = "intervene_action"
EXECUTED_ACTION = "executed_action"


class BasePolicy(Protocol):
    """A frozen policy, in one environment."""

    identity: str
    """Checksum: another policy has another one."""

    def prepare(self) -> None:
        """Get ready for an episode before the environment is reset: what is refused here has moved no arm.

        Raises:
            EnvironmentInterrupted: the policy does not answer now.
        """
        ...

    def reset(self, observation: Any) -> None:
        """Start an episode at this observation of the environment, as it is before it is adapted to an agent."""
        ...

    def act(self, observation: Any) -> np.ndarray:
        """The next action (A,), as the environment that is adapted to the agent takes it: in [-1, 1].

        Raises:
            EnvironmentInterrupted: the policy does not answer now.
        """
        ...

    def replan(self) -> None:
        """Throw away actions that are planned ahead: somebody else has moved the arm."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


@runtime_checkable
class StatelessBase(Protocol):
    """A base policy that can tell its action without having acted in the episode."""

    frame_stack: int
    """Newest observations that its action depends on."""

    def actions(self, newest: Any) -> np.ndarray:
        """Its action (A,), or a batch (N, A), for observations as `RawView.observations` takes them."""
        ...


MakeBase = Callable[[gym.Env, gym.Env], BasePolicy]
"""Makes a base policy for an environment as it is, and the same one as it is adapted to the agent."""


@dataclass(frozen=True)
class Residual:
    """A base policy, and the bounds of its correction."""

    make_base: MakeBase
    config: ResidualConfig

    def add_to(self, raw: gym.Env, adapted: gym.Env) -> ResidualActions:
        """The adapted environment with the base policy acting in it.

        Raises:
            ConfigError: there is no such policy, or not for this environment.
        """
        scale = self.config.scales(gym.spaces.flatdim(adapted.action_space))
        return ResidualActions(adapted, self.make_base(raw, adapted), scale)


class ResidualActions(gym.Wrapper):
    """A wrapper in which the action is `clip(base + scale * residual, -1, 1)`; a residual of 0 is the base itself.

    The observation ends with the base's action, so that the agent knows what it corrects, and so that what is stored
    tells the action that was taken, without the base. `info["executed_action"]` is that action. Where a human acted, it
    is the human's, and `info["intervene_action"]` the residual that comes nearest to it.

    A base that does not answer interrupts the episode (`EnvironmentInterrupted`): the arm is told to hold, by the
    method `hold` of environments that have one, and no earlier action is taken again.

    Args:
        env: the outermost wrapper of an environment that is adapted to an agent.
        base: made for it.
        scale: largest correction of each number of an action.
    """

    def __init__(self, env: gym.Env, base: BasePolicy, scale: tuple[float, ...]) -> None:
        super().__init__(env)
        self.base, self.scale = base, scale
        self.observation_space = add_base_space(env.observation_space, len(scale))
        space: Any = env.action_space
        self.action_space = gym.spaces.Box(-1.0, 1.0, space.shape, space.dtype.type)
        self._base_action = np.zeros(len(scale), np.float32)
        self._interventions = self._clipped = 0
        self._tally = Tally()

    @property
    def base_facts(self) -> dict[str, Any]:
        """The base and the bounds of its correction: what all processes of a run must agree on."""
        return {"policy": self.base.identity, "scale": self.scale}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset environment and base.

        Raises:
            EnvironmentInterrupted: the base does not answer. The environment is not reset where that shows before.
        """
        self.base.prepare()
        observation, info = self.env.reset(seed=seed, options=options)
        self.base.reset(self._raw_observation())
        self._base_action = self._ask()
        return add_base_action(observation, self._base_action), info

    def step(self, residual: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take the base's action with this correction.

        Raises:
            EnvironmentInterrupted: the base does not answer; the step was taken, and the arm holds.
        """
        executed = executed_action(self._base_action, residual, self.scale)
        taken = executed.astype(self.env.action_space.dtype)
        observation, reward, terminated, truncated, info = self.env.step(taken)
        info = {**info, EXECUTED_ACTION: executed}
        if _INTERVENE_ACTION in info:
            info |= self._as_residual(info[_INTERVENE_ACTION])
            self.base.replan()
        # Nothing is expected of the action after the end of a task.
        self._base_action = np.zeros_like(self._base_action) if terminated else self._ask_or_hold()
        return add_base_action(observation, self._base_action), reward, terminated, truncated, info

    def close(self) -> None:
        """Close environment and base."""
        self.base.close()
        super().close()

    def _as_residual(self, by_human: np.ndarray) -> dict[str, np.ndarray]:
        executed = np.clip(np.asarray(by_human, np.float32), -1.0, 1.0)
        residual, is_clipped = residual_of(executed, self._base_action, self.scale)
        self._interventions += 1
        self._clipped += bool(is_clipped)
        if is_clipped and self._tally.is_time_to_say():
            logger.warning(
                "%d of %d steps of a human so far were farther from the base's action than a residual of scale %s "
                "reaches; the nearest residual is learned from. A larger residual.scale reaches farther",
                *(self._clipped, self._interventions, list(self.scale)),
            )
        return {_INTERVENE_ACTION: residual, EXECUTED_ACTION: executed}

    def _ask_or_hold(self) -> np.ndarray:
        try:
            return self._ask()
        except Exception as error:
            if self.env.has_wrapper_attr("hold"):
                try:
                    self.env.get_wrapper_attr("hold")()
                except Exception as trouble:
                    error.add_note(f"the arm could not be told to hold: {trouble!r}")
            raise

    def _ask(self) -> np.ndarray:
        action = np.asarray(self.base.act(self._raw_observation()), np.float32)
        if action.shape != self._base_action.shape or not np.isfinite(action).all():
            raise EnvironmentFailed(
                f"the base policy's action has shape {action.shape} and is {action.tolist()}: an action of this "
                f"environment is {len(self.scale)} finite numbers. Choose a base that was made for it"
            )
        return np.clip(action, -1.0, 1.0)

    def _raw_observation(self) -> Any:
        return self.env.get_wrapper_attr("newest_observation")
