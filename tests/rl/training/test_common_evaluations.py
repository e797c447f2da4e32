"""Evaluations during a training: they begin from the same states, whatever the seed of the run."""

from __future__ import annotations

from typing import Any

from tests.rl.training.small_agents import one_thread, small_sac
from tests.support.tiny_env import FollowTarget

__all__ = ["one_thread"]


def test_l21_the_evaluations_of_every_seed_begin_from_the_same_states():
    class Starts(FollowTarget):
        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            first = super().reset(seed=seed)
            if seed is not None:
                seeds.append(seed)
            return first

    evaluations = []
    for seed in (1, 2):
        seeds: list[int] = []
        with small_sac(Starts(), seed=seed) as agent:
            agent.train(30, evaluate_every=10, evaluate_episodes=2)
        evaluations.append({found for found in seeds if seeds.count(found) > 1})
    assert len(evaluations[0]) == 1, "each evaluation begins from the same seed"
    assert evaluations[0] == evaluations[1]
