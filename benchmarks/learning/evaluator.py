"""Evaluator: evaluates a policy on the episodes that all runs of a table share, and counts the CPU-seconds between."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.learning.records import Evaluation
from benchmarks.learning.tables import RunSpec
from rl.common.evaluation import Episode, Policy, run_episodes
from rl.utils.seeds import Seeds

_SEEDS = Seeds(0)


def episode_seed(number: int) -> int:
    """Seed of an evaluation episode: its own, so that no episode depends on those before it or on the run."""
    return _SEEDS.integer(f"learning benchmark, evaluation episode {number}")


class Evaluator:
    """Evaluates at the steps of a grid, in an environment of its own.

    CPU-seconds count from its construction, so that it is made before everything that learns.

    Args:
        spec: the run.
        env: as the policy sees it.
        now_s: clock of the CPU-seconds.
    """

    def __init__(self, spec: RunSpec, env: gym.Env, now_s: Callable[[], float] = time.process_time) -> None:
        self._spec, self._env, self._now_s = spec, env, now_s
        self._waiting = list(spec.grid)
        self._evaluations: list[Evaluation] = []
        self._begin_s = now_s()

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        """All evaluations so far."""
        return tuple(self._evaluations)

    def evaluate_if_due(self, env_steps: int, policy: Policy) -> None:
        """Evaluate a policy without exploration noise if the grid says so.

        Args:
            env_steps: environment steps so far.
            policy: observation of the environment to action.
        """
        if not self._waiting or env_steps < self._waiting[0]:
            return
        self._waiting = [steps for steps in self._waiting if steps > env_steps]
        begin_s = self._now_s()
        episodes = [self._run(policy, number) for number in range(self._spec.episodes)]
        evaluation = _summarize(env_steps, begin_s - self._begin_s, episodes)
        self._evaluations.append(evaluation)
        # One string with its end: lines of processes that print at the same time stay apart.
        print(f"{self._spec.name}: {_in_words(evaluation, self._spec.steps)}\n", end="", flush=True)
        self._begin_s += self._now_s() - begin_s

    def _run(self, policy: Policy, number: int) -> Episode:
        return run_episodes(policy, self._env, 1, episode_seed(number))[0]


def _summarize(env_steps: int, cpu_s: float, episodes: list[Episode]) -> Evaluation:
    successes: list[Any] = [episode.success for episode in episodes]
    return Evaluation(
        env_steps=env_steps,
        cpu_s=round(cpu_s, 3),
        returns=tuple(round(episode.total_reward, 4) for episode in episodes),
        successes=None if None in successes else tuple(successes),
    )


def _in_words(evaluation: Evaluation, steps: int) -> str:
    result = f"return {np.mean(evaluation.returns):z.2f}"
    if evaluation.successes is not None:
        result = f"success {np.mean(evaluation.successes):.0%}, {result}"
    return f"{evaluation.env_steps:,} of {steps:,} steps, {result}, {evaluation.cpu_s:.0f} CPU-seconds"
