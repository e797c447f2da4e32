"""A run with a proposal policy begins as behaviour cloning, in one process and in several, and keeps it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rl import SAC
from rl.agents.continuous.proposal_config import ProposalConfig
from rl.common.evaluation import evaluate
from rl.config import ReplayConfig, TrainConfig, load_config, save_config
from rl.data.demos import record_demos
from rl.data.journal import TransitionJournal
from rl.errors import CheckpointError, ConfigError
from rl.link.frames import Weights
from rl.link.hub import LearnerHub
from rl.link.messages import AgentSpec
from rl.training.agent_factory import KINDS
from rl.training.learner_parts import make_agent, make_memory
from rl.training.processes import learn, load_policy
from rl.training.proposal import clone_proposal
from rl.training.trainer import Progress
from rl.utils.checkpoint import Checkpoints, load_checkpoint
from rl.utils.run_directory import CHECKPOINTS, CONFIG, JOURNAL
from rl.utils.seeds import Seeds
from rl.utils.subprocesses import StopSignal
from rl.wrappers.make_env import make_env
from tests.rl.training.small_agents import ENV, NETWORKS, one_thread, small_sac
from tests.rl.training.test_exact_resume import assert_same, collect, config

__all__ = ["one_thread"]

PROPOSAL = ProposalConfig(acts=True, bootstraps=True, cloning_updates=800, hidden_dims=(32,))
WITH_PROPOSAL = replace(NETWORKS, proposal=PROPOSAL)


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes of an expert for `FollowTarget`."""
    path = tmp_path_factory.mktemp("demos") / "demos.sqlite"
    record_demos(path, make_env(ENV), lambda observation: observation[:1], 20, seed=1)
    return path


def cloned(demos: Path, **settings: Any) -> SAC:
    return small_sac(config=WITH_PROPOSAL, demos=[demos], **settings)


def proposed(agent: SAC, observations: np.ndarray) -> np.ndarray:
    assert agent.core.proposal is not None
    return agent.core.proposal(torch.from_numpy(observations)).numpy()


def observations() -> np.ndarray:
    return np.stack([np.linspace(-0.7, 0.7, 8), np.full(8, 4.0)], 1).astype(np.float32)


def test_before_the_first_step_success_is_that_of_the_clone(demos: Path):
    agent = cloned(demos)
    first = agent.evaluate(20, seed=5)
    env = make_env(ENV)
    of_clone = evaluate(lambda seen: proposed(agent, seen), env, 20, Seeds(5).integer("eval"))
    assert first == of_clone
    assert first["success_rate"] == 1.0
    np.testing.assert_allclose(proposed(agent, observations())[:, 0], observations()[:, 0], atol=0.15)
    plain = small_sac(demos=[demos])
    assert plain.evaluate(20, seed=5)["success_rate"] < 1.0


def test_equal_demonstrations_and_seeds_give_equal_clones_and_leave_the_draws_of_a_run_alone(demos: Path):
    one, other, another = cloned(demos), cloned(demos), cloned(demos, seed=1)
    np.testing.assert_array_equal(proposed(one, observations()), proposed(other, observations()))
    assert not np.array_equal(proposed(one, observations()), proposed(another, observations()))
    plain = small_sac(demos=[demos])
    state = torch.get_rng_state()
    with_clone = cloned(demos)
    assert torch.equal(state, torch.get_rng_state())
    draws = [agent._session._collected().memory.batches.state_dict() for agent in (plain, with_clone)]
    assert draws[0] == draws[1]


def test_a_tiny_run_learns_to_its_end_and_goes_on_as_if_it_had_not_been_stored(demos: Path, tmp_path: Path):
    agent = cloned(demos, out=tmp_path / "run").train(40)
    before = proposed(agent, observations())
    assert agent.updates == 5
    agent.close()
    path = tmp_path / "run" / CHECKPOINTS
    assert load_checkpoint(path)[1]["agent"]["proposal"]["critic_steps"].item() == 2 * agent.updates
    loaded = SAC.load(tmp_path / "run", out=tmp_path / "run")
    np.testing.assert_array_equal(proposed(loaded, observations()), before)
    np.testing.assert_array_equal(loaded.predict(observations()), agent.predict(observations()))
    straight = cloned(demos).train(40).train(40)
    assert_same(straight.core.state_dict(), loaded.train(40).core.state_dict(), "agent")


def configured(out: Path, steps: int, demos: Path) -> TrainConfig:
    return replace(config(out, steps, demos), agent=WITH_PROPOSAL)


class PublishedHub(LearnerHub):
    """Keeps all weights that were published."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.published: list[Weights] = []

    def publish(self, weights: Weights) -> None:
        self.published.append(weights)
        super().publish(weights)


def learned(config: TrainConfig, spec: AgentSpec, stop: StopSignal | None = None) -> list[Weights]:
    with TransitionJournal(config.directory() / JOURNAL) as journal:
        hub = PublishedHub(journal, ENV, spec)
        learn(config, Seeds(config.seed), hub, spec, Progress(config.steps), stop or StopSignal())
    return hub.published


def test_the_first_weights_that_actors_get_are_those_of_the_clone(demos: Path, tmp_path: Path):
    env, out = make_env(ENV), tmp_path / "run"
    spec = AgentSpec.of(ENV, env)
    collect(env, out, 200)
    config = configured(out, 200, demos)
    published = learned(config, spec)
    assert published[0].version == 0
    actor = KINDS["sac"].make_policy(config, spec, 7)
    actor.load_policy_state_dict(Weights.from_bytes(published[0].to_bytes()).policy)
    agent = make_agent(config, spec, Seeds(0))
    clone_proposal(agent, make_memory(config, spec, agent, Seeds(0)).demos, Seeds(0))
    assert agent.proposal is not None
    expected = agent.proposal(torch.from_numpy(observations())).numpy()
    for argmax in (True, False):
        np.testing.assert_array_equal(actor.sample_actions(observations(), argmax=argmax), expected)
    assert Checkpoints(out / CHECKPOINTS).steps() == [25]
    updates, policy = load_policy(config, None, spec)
    actor.load_policy_state_dict(published[-1].policy)
    assert updates == published[-1].version == 25
    np.testing.assert_array_equal(
        actor.sample_actions(observations(), argmax=True), policy.sample_actions(observations(), argmax=True)
    )


def test_a_learner_that_is_resumed_clones_nothing_anew(demos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    env, out = make_env(ENV), tmp_path / "run"
    spec = AgentSpec.of(ENV, env)
    collect(env, out, 200)
    learned(configured(out, 160, demos), spec)
    monkeypatch.setattr("rl.training.processes.clone_proposal", None)
    assert learned(configured(out, 200, demos), spec)[0].version == 15


def test_a_learner_that_is_stopped_while_it_clones_publishes_nothing(demos: Path, tmp_path: Path):
    env, out, stop = make_env(ENV), tmp_path / "run", StopSignal()
    spec = AgentSpec.of(ENV, env)
    collect(env, out, 200)
    endless = replace(WITH_PROPOSAL, proposal=replace(PROPOSAL, cloning_updates=10**12))
    stop.set()
    assert not learned(replace(configured(out, 200, demos), agent=endless), spec, stop)
    assert not Checkpoints(out / CHECKPOINTS).steps()


def test_without_demonstrations_it_is_refused():
    with pytest.raises(ConfigError, match=r"proposal is a policy that is cloned from demonstrations: .* give demos"):
        small_sac(config=WITH_PROPOSAL)
    with pytest.raises(ConfigError, match="robotkit-train record demos"):
        replace(configured(Path("run"), 200, Path("none")), replay=ReplayConfig()).require_trainable()


def test_a_run_without_one_does_not_go_on_with_one(demos: Path, tmp_path: Path):
    agent = small_sac(demos=[demos]).train(20)
    agent.save(tmp_path)
    agent.close()
    config = replace(load_config(tmp_path / CONFIG), agent=WITH_PROPOSAL)
    save_config(config, tmp_path / CONFIG)
    with pytest.raises(CheckpointError, match="an agent with other networks"):
        SAC.load(tmp_path)
