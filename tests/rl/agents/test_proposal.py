"""Laws of an agent that has a second action proposed, and takes the better one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rl.agents.continuous.drq import DrqConfig
from rl.agents.continuous.proposal import make_policy
from rl.agents.continuous.proposal_config import ProposalConfig
from rl.agents.continuous.sac import SACAgent, SacConfig
from rl.agents.continuous.sac_hybrid_config import SingleArmConfig
from rl.agents.continuous.sac_losses import SacNoise, critic_target
from rl.agents.continuous.sac_modules import draw_members
from rl.common.typing import Batch
from rl.errors import ConfigError
from rl.networks.actor_critic_nets import ask_members
from rl.utils.checkpoint import Checkpoints
from tests.rl.agents.test_sac import ACTION, OBSERVATION, SMALL, make_batch
from tests.rl.training.test_exact_resume import assert_same

BOTH = ProposalConfig(acts=True, bootstraps=True, trusts_critics_after=1, hidden_dims=(16,))


def make_agent(proposal: ProposalConfig = BOTH, seed: int = 0, **changes: Any) -> SACAgent:
    """An agent whose proposal differs from its policy."""
    config = replace(SMALL, average_policy=True, proposal=proposal, **changes)
    return SACAgent.create_states(OBSERVATION, ACTION, config, seed=seed)


def trained(agent: SACAgent, updates: int = 3) -> SACAgent:
    for index in range(updates):
        agent.update_high_utd(make_batch(16, seed=index), 2)
    return agent


def observations(count: int = 200) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, OBSERVATION)).astype(np.float32)


def networks(agent: SACAgent) -> dict[str, Any]:
    return {name: value for name, value in agent.state_dict().items() if name not in ("proposal", "policy_generator")}


def test_switched_off_there_is_none_and_the_state_is_as_before():
    off = trained(make_agent(ProposalConfig(hidden_dims=(8,))))
    assert off.proposal is None
    assert "proposal" not in off.state_dict()
    assert not [name for name in off.policy_state_dict() if name.startswith(("proposal.", "critic."))]
    assert_same(off.state_dict(), trained(make_agent(ProposalConfig())).state_dict(), "agent")


def test_a_proposal_that_only_acts_changes_no_update():
    assert_same(
        networks(trained(make_agent(replace(BOTH, bootstraps=False)))),
        networks(trained(make_agent(ProposalConfig()))),
        "agent",
    )


def test_updates_leave_the_proposal_as_it_was_cloned():
    agent = make_agent()
    assert agent.proposal is not None
    before = {name: value.clone() for name, value in agent.proposal.policy.state_dict().items()}
    trained(agent)
    assert_same(before, agent.proposal.policy.state_dict(), "proposal")
    assert not any(parameter.requires_grad for parameter in agent.proposal.parameters())


@torch.no_grad()
def values(agent: SACAgent, seen: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """The smallest value of all target critics (N,)."""
    critic = agent.state.targets["critic"]
    return critic(torch.from_numpy(seen), torch.from_numpy(actions)).amin(0).numpy()


@pytest.mark.parametrize("argmax", [True, False])
@pytest.mark.parametrize("margin", [0.0, 0.02])
def test_the_action_is_the_better_one_of_the_two(argmax: bool, margin: float):
    agent = trained(make_agent(replace(BOTH, margin=margin), critic_subsample_size=None))
    plain, seen = make_agent(ProposalConfig()), observations()
    plain.state.load_state_dict(agent.state.state_dict())
    plain.policy.generator.set_state(agent.policy.generator.get_state())
    assert agent.proposal is not None
    taken, own = (one.sample_actions(seen, argmax=argmax) for one in (agent, plain))
    proposed = agent.proposal(torch.from_numpy(seen)).numpy()
    is_proposed = values(agent, seen, proposed) + margin > values(agent, seen, own)
    assert 0 < is_proposed.sum() < len(seen), "the critics prefer both"
    np.testing.assert_array_equal(taken, np.where(is_proposed[:, None], proposed, own))
    np.testing.assert_allclose(agent.sample_actions(seen[3], argmax=True), agent.sample_actions(seen, argmax=True)[3],
                               atol=1e-6)  # fmt: skip


def test_with_a_wider_margin_the_proposal_is_taken_more_often():
    seen, found = observations(), []
    for margin in (0.0, 0.02, 0.1, 1e9):
        agent = trained(make_agent(replace(BOTH, margin=margin)))
        assert agent.proposal is not None
        proposed = agent.proposal(torch.from_numpy(seen)).numpy()
        found.append((agent.sample_actions(seen, argmax=True) == proposed).all(-1).mean())
    assert found == sorted(found)
    assert found[0] < found[1] < found[-1] == 1.0


def test_with_a_margin_a_target_is_that_of_the_action_that_would_be_taken():
    agent, batch = trained(make_agent(replace(BOTH, margin=0.05), critic_subsample_size=None)), make_batch(512, seed=9)
    noise, plain = agent.draw_noise(512), make_agent(critic_subsample_size=None)
    plain.state.load_state_dict(agent.state.state_dict())
    assert agent.proposal is not None
    proposed = agent.proposal(batch["next_observations"])
    own, higher, found = (targets_of(plain, batch, noise, None), targets_of(plain, batch, noise, proposed),
                          targets_of(agent, batch, noise, proposed))  # fmt: skip
    with torch.no_grad():
        next_qs = agent.state.targets["critic"](batch["next_observations"], proposed).amin(0)
    scale = agent.config.discount * batch["masks"]
    of_proposal = batch["rewards"] + scale * next_qs
    torch.testing.assert_close(found, torch.where(of_proposal + scale * 0.05 >= own, of_proposal, own))
    assert (found < higher - 1e-4).any()
    assert (found >= higher - 0.05).all()
    assert (found > of_proposal + 1e-4).any()


def test_while_exploring_a_few_critics_are_drawn_as_for_the_targets():
    agent, seen = trained(make_agent(critic_subsample_size=1)), torch.from_numpy(observations())
    plain = make_agent(ProposalConfig())
    plain.state.load_state_dict(agent.state.state_dict())
    assert agent.proposal is not None
    proposed, members = agent.proposal(seen).numpy(), set()
    for _ in range(20):
        generator = plain.policy.generator.set_state(agent.policy.generator.get_state())
        own = plain.sample_actions(seen.numpy())
        (member,) = draw_members(agent.config, generator)
        qs = [agent.state.targets["critic"](seen, torch.from_numpy(actions))[member] for actions in (own, proposed)]
        expected = np.where((qs[1] > qs[0]).numpy()[:, None], proposed, own)
        np.testing.assert_array_equal(agent.sample_actions(seen.numpy()), expected)
        assert torch.equal(generator.get_state(), agent.policy.generator.get_state())
        members.add(int(member))
    assert len(members) > 1


@pytest.mark.parametrize("argmax", [True, False])
def test_before_the_critics_can_tell_the_proposed_action_is_taken(argmax: bool):
    agent, seen = make_agent(replace(BOTH, trusts_critics_after=6)), observations()
    assert agent.proposal is not None
    proposed = agent.proposal(torch.from_numpy(seen)).numpy()
    for _ in range(3):
        np.testing.assert_array_equal(agent.sample_actions(seen, argmax=argmax), proposed)
        trained(agent, 1)  # two steps of the critics
    assert not np.array_equal(agent.sample_actions(seen, argmax=argmax), proposed)


def test_proposed_actions_lie_inside_the_bounds():
    agent = make_agent()
    assert agent.proposal is not None
    with torch.no_grad():
        agent.proposal.policy.mean_head.weight.mul_(100.0)
        assert agent.proposal(torch.from_numpy(observations())).abs().max() == 1.0


def targets_of(agent: SACAgent, batch: Batch, noise: SacNoise, proposed: torch.Tensor | None) -> torch.Tensor:
    given = batch if proposed is None else {**batch, "next_proposed_actions": proposed}
    return critic_target(agent.state.modules, agent.state.targets, given, noise, agent.config)


@pytest.mark.parametrize("subset", [None, 2])
def test_a_target_is_the_larger_one_of_both_actions(subset: int | None):
    agent, batch = trained(make_agent(critic_subsample_size=subset)), make_batch(64, seed=9)
    noise = agent.draw_noise(64)
    assert agent.proposal is not None
    proposed = agent.proposal(batch["next_observations"])
    own, both = (targets_of(agent, batch, noise, actions) for actions in (None, proposed))
    critic = agent.state.targets["critic"]
    with torch.no_grad():
        next_qs = ask_members(critic, noise.critic_idx, batch["next_observations"], proposed).amin(0)
    of_proposal = batch["rewards"] + agent.config.discount * batch["masks"] * next_qs
    torch.testing.assert_close(both, torch.maximum(own, of_proposal))
    assert (both >= own).all()
    assert (both > own + 1e-4).any()
    torch.testing.assert_close(both[batch["masks"] == 0], batch["rewards"][batch["masks"] == 0])


def test_a_proposed_action_has_no_entropy():
    agent, batch = trained(make_agent(backup_entropy=True)), make_batch(64, seed=9)
    noise, plain = agent.draw_noise(64), make_agent()
    assert agent.proposal is not None
    proposed = agent.proposal(batch["next_observations"])
    plain.state.load_state_dict(agent.state.state_dict())
    hard_own, hard_both = (targets_of(plain, batch, noise, actions) for actions in (None, proposed))
    soft_own, soft_both = (targets_of(agent, batch, noise, actions) for actions in (None, proposed))
    is_proposed = hard_both > hard_own
    assert is_proposed.any()
    torch.testing.assert_close(soft_both, torch.where(is_proposed, hard_both, soft_own))


def test_critics_learn_from_what_is_proposed():
    one, other = (trained(make_agent(replace(BOTH, bootstraps=bootstraps)), 1) for bootstraps in (True, False))
    one_critic, other_critic = (agent.state.modules["critic"].head.weight for agent in (one, other))
    assert not torch.equal(one_critic, other_critic)


@pytest.mark.parametrize("rows", [4, None])
def test_accumulated_passes_have_each_row_its_own_proposal(rows: int | None):
    whole, parts = (trained(make_agent(microbatch_size=size), 1) for size in (None, rows))
    for a, b in zip(whole.state.modules.parameters(), parts.state.modules.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_it_travels_with_the_weights_and_with_the_checkpoint(tmp_path: Path):
    agent, seen = trained(make_agent()), observations()
    actor = make_policy(OBSERVATION, ACTION, agent.config, seed=9)
    actor.load_policy_state_dict(agent.policy_state_dict())
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, agent.state_dict())
    again = make_agent(seed=5)
    again.load_state_dict(checkpoints.load()[1])
    for other in (actor, again):
        np.testing.assert_array_equal(other.sample_actions(seen, argmax=True), agent.sample_actions(seen, argmax=True))
    assert_same(trained(again).state_dict(), trained(agent).state_dict(), "agent")


def test_an_actor_takes_the_proposal_until_the_weights_say_that_the_critics_can_tell():
    agent, seen = make_agent(replace(BOTH, trusts_critics_after=2)), observations()
    actor = make_policy(OBSERVATION, ACTION, agent.config, seed=9)
    assert agent.proposal is not None
    for updates in (0, 1):
        trained(agent, updates)
        actor.load_policy_state_dict(agent.policy_state_dict())
        is_proposal = np.array_equal(
            actor.sample_actions(seen, argmax=True), agent.proposal(torch.from_numpy(seen)).numpy()
        )
        assert is_proposal == (updates == 0)


def test_a_proposal_that_only_bootstraps_leaves_the_policy_alone():
    agent = trained(make_agent(replace(BOTH, acts=False)))
    actor = make_policy(OBSERVATION, ACTION, agent.config, seed=9)
    actor.load_policy_state_dict(agent.policy_state_dict())
    plain = make_agent(ProposalConfig())
    plain.state.load_state_dict(agent.state.state_dict())
    for one in (actor, agent):
        np.testing.assert_array_equal(
            one.sample_actions(observations(), argmax=True), plain.sample_actions(observations(), argmax=True)
        )


@pytest.mark.parametrize("config", [DrqConfig, SingleArmConfig])
def test_agents_that_see_images_refuse_one(config: type[DrqConfig]):
    with pytest.raises(ConfigError, match=r"are for agents that observe vectors \(`sac`\)"):
        config(proposal=BOTH)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"trusts_critics_after": 0}, "trusts_critics_after is 0: allowed are 1 and more"),
        ({"cloning_updates": 0}, "cloning_updates is 0"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"margin": -0.1}, r"margin must be a finite number of at least 0, not -0\.1"),
        ({"margin": float("inf")}, "margin must be a finite number"),
        ({"hidden_dims": (16, 0)}, r"each at least 1, not \(16, 0\)"),
        ({"acts": 1}, "acts must be True or False, not 1"),
    ],
)
def test_what_cannot_be_cloned_is_refused(settings: dict[str, Any], words: str):
    with pytest.raises(ConfigError, match=words):
        ProposalConfig(**settings)
    with pytest.raises(ConfigError, match="proposal must be ProposalConfig"):
        SacConfig(proposal=None)  # type: ignore[arg-type]
