"""One run of the learning benchmark: it trains as `rl.SAC` does, and its evaluations are apart from the training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from benchmarks.learning.clones import CLONE
from benchmarks.learning.evaluator import Evaluator, episode_seed
from benchmarks.learning.runner import run
from benchmarks.learning.variants import Variant
from rl.agents.continuous.proposal_config import ProposalConfig
from rl.agents.continuous.sac_config import SacConfig
from rl.data.demos import record_demos
from rl.errors import ConfigError
from rl.training.algorithms import SAC
from rl.training.base_checkpoint import CheckpointBase, StoredPolicy
from rl.training.callbacks import Callback, Step
from rl.wrappers.adapter_config import EnvAdapterConfig
from rl.wrappers.make_env import make_env
from tests.benchmarks.learning_runs import FOLLOW, SMALL, small_spec
from tests.rl.training.small_agents import one_thread
from tests.support.tiny_env import FollowTarget

__all__ = ["one_thread"]


def results(evaluations: Any) -> list[tuple[Any, ...]]:
    """What does not depend on the machine."""
    return [(one.env_steps, one.returns, one.successes) for one in evaluations]


def test_equal_seeds_give_equal_evaluations_and_other_seeds_others():
    first, again, other = (results(run(small_spec(seed=seed))) for seed in (3, 3, 4))
    assert first == again
    assert first[-1] != other[-1]
    assert [steps for steps, _, _ in first] == [0, 30, 60]


def test_an_evaluation_changes_nothing_of_the_training():
    often, seldom = (results(run(small_spec(grid=grid))) for grid in ((0, 15, 30, 45, 60), (60,)))
    assert often[-1] == seldom[-1]


def test_a_run_learns_what_the_agent_for_scripts_learns():
    spec = small_spec(how=Variant("default", SMALL | {"agent.hidden_dims": SacConfig().hidden_dims}))

    class Watch(Callback):
        def on_step(self, event: Step) -> None:
            evaluator.evaluate_if_due(event.env_steps, lambda seen: agent.core.sample_actions(seen, argmax=True))

    evaluator = Evaluator(spec, make_env(FOLLOW.env))
    settings: Any = {name: value for name, value in SMALL.items() if "." not in name}
    with SAC(FOLLOW.env, seed=spec.seed, **settings) as agent:
        evaluator.evaluate_if_due(0, lambda seen: agent.core.sample_actions(seen, argmax=True))
        agent.train(spec.steps, callbacks=[Watch()])
    assert results(evaluator.evaluations) == results(run(spec))


def test_a_preset_that_updates_as_fast_as_it_can_is_refused_before_anything_is_trained():
    with pytest.raises(ConfigError, match="env_steps_per_update"):
        run(small_spec(how=Variant("serl", SMALL)))


class Lengths(FollowTarget):
    """Ends after as many steps as the action says, and draws a number in every step."""

    starts: list[float]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        observation, info = super().reset(seed=seed, options=options)
        self.starts.append(float(observation[0]))
        return observation, info

    def step(self, action: np.ndarray) -> Any:
        observation, reward, terminated, truncated, _ = super().step(action)
        return observation, reward, terminated, truncated or bool(action[0] > 0), {}


def test_episodes_begin_the_same_whatever_the_policy_did_before():
    starts = []
    for action in (-1.0, 1.0):
        env = Lengths()
        env.starts = []
        evaluator = Evaluator(small_spec(seed=int(action > 0)), env)
        for steps in (0, 30):
            evaluator.evaluate_if_due(steps, lambda _, action=action: np.array([action], np.float32))
        starts.append(env.starts)
        assert evaluator.evaluations[0].successes is None
    assert starts[0] == starts[1]
    assert starts[0][:3] == starts[0][3:]
    assert len(set(starts[0][:3])) == 3


def test_no_two_evaluation_episodes_are_the_same():
    assert len({episode_seed(number) for number in range(50)}) == 50


def test_seconds_of_evaluations_do_not_count():
    now_s = 100.0

    def spend(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds

    def policy(observation: Any) -> np.ndarray:
        spend(7.0)
        return np.zeros(1, np.float32)

    env: gym.Env = FollowTarget()
    evaluator = Evaluator(small_spec(), env, lambda: now_s)
    spend(2.0)
    evaluator.evaluate_if_due(0, policy)
    spend(3.0)
    evaluator.evaluate_if_due(29, policy)
    evaluator.evaluate_if_due(30, policy)
    spend(4.0)
    evaluator.evaluate_if_due(60, policy)
    evaluator.evaluate_if_due(90, policy)
    assert [(one.env_steps, one.cpu_s) for one in evaluator.evaluations] == [(0, 2.0), (30, 5.0), (60, 9.0)]


def test_a_variant_that_corrects_a_clone_begins_with_its_success_and_clones_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("rl.training.demo_clone.CLONING", ProposalConfig(cloning_updates=20))
    demos = tmp_path / "demos.sqlite"
    record_demos(demos, make_env(FOLLOW.env), lambda observation: observation[:1], 2, seed=3)
    spec = small_spec(how=Variant("default", SMALL | {"base": CLONE}), demos=demos)
    first, again = run(spec), run(spec)
    assert results(first) == results(again)
    (clone,) = tmp_path.glob("demos-clone-*")
    base = CheckpointBase(StoredPolicy.find(clone), make_env(FOLLOW.env), EnvAdapterConfig())
    evaluator = Evaluator(spec, make_env(FOLLOW.env))
    evaluator.evaluate_if_due(0, base.act)
    assert results(evaluator.evaluations) == results(first[:1])


def test_a_clone_of_no_demonstrations_is_refused():
    with pytest.raises(ConfigError, match="its task has none"):
        run(small_spec(how=Variant("default", SMALL | {"base": CLONE})))
