"""Evaluation of a pair of checkpoints: the object goes there and back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from examples.async_bin_relocation_fwbw_drq.two_learners import TakesTurns, Turn, TwoPolicies
from rl.common.evaluation import Episode, run_episodes
from rl.config import TrainConfig
from rl.link.messages import AgentSpec
from rl.training.processes import load_policy
from rl.utils.seeds import Seeds
from rl.wrappers.make_env import make_env

WAYS = ("forward", "backward")


def evaluate_cycle(config: TrainConfig, checkpoints: Sequence[Path], cycles: int) -> list[Episode]:
    """Run two episodes for each cycle, without exploration noise, and print what came of them.

    Args:
        config: of the runs.
        checkpoints: of each way.
        cycles: how many.
    """
    turn = Turn()
    with closing(TakesTurns(make_env(config.env, config.cell, config.adaptation()), turn)) as env:
        spec = AgentSpec.of(config.env, env)
        policies = {task_id: load_policy(config, path, spec)[1] for task_id, path in enumerate(checkpoints)}
        act = partial(TwoPolicies(policies, turn).sample_actions, argmax=True)
        found = run_episodes(act, env, 2 * cycles, Seeds(config.seed).integer("eval"))
    for task_id, way in enumerate(WAYS):
        outcomes = [bool(episode.success) for task, episode in zip(turn.tasks, found, strict=True) if task == task_id]
        print(f"{way:9s} {sum(outcomes)} of {len(outcomes)}")
    return found
