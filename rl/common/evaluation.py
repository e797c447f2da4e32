"""Evaluation: runs a policy for some episodes, and gives its success rate with a confidence interval."""

from __future__ import annotations

import logging
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np

from rl.errors import ConfigError
from rl.utils.option_words import option

logger = logging.getLogger(__name__)

Policy = Callable[[Any], np.ndarray]
"""Function from an observation to an action."""

ENV_SUCCESS = "env_success"
"""Key of the environment's own success in `info`, beside a classifier's prediction as `success`."""

_ALLOW = "allow_interventions"
"""Method of an environment in which a human may take over, called with whether that is allowed."""


@dataclass
class Episode:
    """The result of one episode."""

    total_reward: float = 0.0
    length: int = 0
    """Environment steps."""
    success: bool | None = None
    """Success as the environment told it at the last step; None when it does not say. Where a classifier predicts
    success beside an environment that reports it, the environment counts."""
    success_step: int | None = None
    """Steps until success was first reported."""
    is_steered: bool = False
    """Whether a human acted in it."""
    predicted_success: bool | None = None
    """A classifier's last prediction, beside an environment that reports success itself; else None."""
    frames: list[np.ndarray] = field(default_factory=list)
    """Rendered images, when they were asked for."""


def evaluate(policy_fn: Policy, env: gym.Env, episodes: int, seed: int) -> dict[str, float]:
    """Run a policy and summarise it; see `summarize` for the keys and `run_episodes` for the arguments."""
    return summarize(run_episodes(policy_fn, env, episodes, seed))


def run_episodes(
    policy_fn: Policy,
    env: gym.Env,
    episodes: int,
    seed: int,
    *,
    keep_best_frames: bool = False,
    on_episode: Callable[[Sequence[Episode]], None] = lambda done: None,
) -> list[Episode]:
    """Run a policy until each episode terminates or is truncated.

    Args:
        policy_fn: observation to action.
        env: its own time limit must end an episode.
        episodes: how many, at least 1.
        seed: seeds the first reset; later resets continue the environment's own generator.
        keep_best_frames: render every step and keep the frames of the best episode (not of all: they are large).
        on_episode: told after each episode what is done so far.
    """
    try:
        episodes = operator.index(episodes)
    except TypeError:
        raise ConfigError(f"episodes must be a whole number, not {episodes!r}") from None
    if episodes < 1:
        raise ConfigError(f"an evaluation needs at least 1 episode, not {episodes}")
    done: list[Episode] = []
    camera = _Camera(env) if keep_best_frames else None
    with _unassisted(env):
        for number in range(episodes):
            done.append(_run_episode(policy_fn, env, seed if number == 0 else None, camera))
            if shown := [episode for episode in done if episode.frames]:
                best = best_episode(shown)
                for episode in shown:
                    episode.frames = episode.frames if episode is best else []
            on_episode(done)
    if steered := sum(episode.is_steered for episode in done):
        logger.warning(
            "a human steered %d of the %d episodes that were to show what the policy does", steered, episodes
        )
    return done


def require_unassisted(env: gym.Env, human: str) -> None:
    """Raise `ConfigError` unless the human at an environment can be kept from helping in evaluations."""
    if not env.has_wrapper_attr(_ALLOW):
        raise ConfigError(
            f"{option('human', human)} would help in the evaluations of {option('evaluation.where', 'actor')}, because "
            f"the environment has no method {_ALLOW}(bool); choose {option('evaluation.where', 'process')}"
        )


@contextmanager
def _unassisted(env: gym.Env) -> Iterator[None]:
    """Leave every step to the policy, in environments in which a human may take over."""
    allow = env.get_wrapper_attr(_ALLOW) if env.has_wrapper_attr(_ALLOW) else lambda allowed: None
    allow(False)
    try:
        yield
    finally:
        allow(True)


def best_episode(episodes: Sequence[Episode]) -> Episode:
    """The episode to show: successful before unsuccessful, then the higher return."""
    return max(episodes, key=lambda episode: (bool(episode.success), episode.total_reward))


def summarize(episodes: Sequence[Episode]) -> dict[str, float]:
    """Means over episodes.

    Returns:
        `return_mean`, `return_std`, `return_min`, `return_max`, `length_mean`, `episodes`; and, over the episodes whose
        environment reports success (keys are absent when none does), `success_rate` with its 95 % confidence interval
        `success_low`, `success_high`; and over those that succeeded, `success_steps`, the mean of the steps until
        they first did. Of episodes with a classifier's prediction beside the environment's own success, also the shares
        `false_successes` (ended as a success that was none) and `missed_successes` (a success, and never called one).
    """
    returns = np.array([episode.total_reward for episode in episodes])
    summary = {
        "return_mean": float(returns.mean()),
        "return_std": float(returns.std()),
        "return_min": float(returns.min()),
        "return_max": float(returns.max()),
        "length_mean": float(np.mean([episode.length for episode in episodes])),
        "episodes": float(len(episodes)),
    }
    successes = [episode.success for episode in episodes if episode.success is not None]
    if successes:
        low, high = wilson_interval(sum(successes), len(successes))
        summary |= {"success_rate": sum(successes) / len(successes), "success_low": low, "success_high": high}
        if any(successes):
            summary["success_steps"] = float(np.mean([episode.success_step for episode in episodes if episode.success]))
    predicted = [episode for episode in episodes if episode.predicted_success is not None]
    if predicted:
        false = [bool(episode.predicted_success) and not episode.success for episode in predicted]
        missed = [episode.success_step is not None and not episode.predicted_success for episode in predicted]
        summary |= {"false_successes": float(np.mean(false)), "missed_successes": float(np.mean(missed))}
    return summary


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Score interval of a proportion, sensible at 0 and at 1 too. Wilson 1927, JASA 22(158); z = 1.96 means 95 %."""
    rate = successes / trials
    centre = rate + z * z / (2 * trials)
    spread = z * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def _run_episode(policy_fn: Policy, env: gym.Env, seed: int | None, camera: _Camera | None) -> Episode:
    episode = Episode()
    observation, _ = env.reset(seed=seed)
    ended = False
    while not ended:
        if camera is not None:
            camera.shoot(episode)
        observation, reward, terminated, truncated, info = env.step(policy_fn(observation))
        episode.total_reward += float(reward)
        episode.length += 1
        episode.is_steered = episode.is_steered or "intervene_action" in info
        success = info.get(ENV_SUCCESS, info.get("success"))
        if episode.success_step is None and success is not None and np.all(success):
            episode.success_step = episode.length
        ended = bool(terminated or truncated)
    if success is not None:
        episode.success = bool(np.all(success))
    if ENV_SUCCESS in info:
        episode.predicted_success = bool(info["success"])
    return episode


class _Camera:
    """Renders an environment; one that cannot be rendered is refused at its first frame, and costs no result later."""

    def __init__(self, env: gym.Env) -> None:
        self._env = env
        self._has_frames = self._is_broken = False

    def shoot(self, episode: Episode) -> None:
        """Add a frame to an episode.

        Raises:
            ConfigError: it is the first one of all, and there is none.
        """
        if self._is_broken:
            return
        try:
            frame: Any = self._env.render()
            if not isinstance(frame, np.ndarray):
                raise TypeError("frames need an environment that was made with render_mode='rgb_array'")
        except Exception as error:
            if not self._has_frames:
                raise ConfigError(f"the environment cannot be rendered: {error}") from error
            logger.warning("rendering failed, and the episodes go on without frames: %s", error)
            self._is_broken = True
            episode.frames = []
            return
        self._has_frames = True
        episode.frames.append(frame)
