"""Laws of the SAC agent."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch

from rl.agents.continuous.sac import SACAgent, SacConfig, make_policy
from rl.agents.continuous.sac_losses import actor_loss, critic_target
from rl.common.optimizers import OptimizerConfig
from rl.errors import CheckpointError, ConfigError, DataError
from rl.utils import torch_utils
from rl.utils.performance import autocast

OBSERVATION, ACTION = 5, 3
FAST = OptimizerConfig(3e-3)
SMALL = SacConfig(
    critic_ensemble_size=4,
    hidden_dims=(16, 16),
    actor_optimizer=FAST,
    critic_optimizer=FAST,
    temperature_optimizer=FAST,
)


def make_agent(seed=0, **changes):
    return SACAgent.create_states(OBSERVATION, ACTION, dataclasses.replace(SMALL, **changes), seed=seed)


def make_batch(size, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator)

    return {
        "observations": normal(size, OBSERVATION),
        "actions": torch.tanh(normal(size, ACTION)),
        "next_observations": normal(size, OBSERVATION),
        "rewards": normal(size),
        "masks": (normal(size) > -1).float(),
    }


def parameters(agent):
    return {name: value.clone() for name, value in agent.state.modules.state_dict().items()}


def assert_same(one, other, **tolerance):
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], **tolerance or {"rtol": 0, "atol": 0})


def test_equal_seeds_give_equal_agents():
    one, other = make_agent(seed=4), make_agent(seed=4)
    assert_same(one.update_high_utd(make_batch(8), 2), other.update_high_utd(make_batch(8), 2))
    assert_same(parameters(one), parameters(other))
    assert not torch.equal(make_agent(seed=5).draw_noise(4).actor_eps, make_agent(seed=4).draw_noise(4).actor_eps)


@pytest.mark.parametrize("selective", [True, False])
def test_a_restored_agent_continues_exactly(tmp_path, selective):
    agent = make_agent(selective_optimizer_steps=selective)
    agent.update_high_utd(make_batch(8), 2)
    agent.sample_actions(np.zeros(OBSERVATION))
    torch.save(agent.state_dict(), tmp_path / "agent.pt")
    restored = make_agent(seed=9, selective_optimizer_steps=selective)
    restored.load_state_dict(torch.load(tmp_path / "agent.pt", weights_only=True))
    for _ in range(3):
        assert_same(agent.update_high_utd(make_batch(8), 2), restored.update_high_utd(make_batch(8), 2))
    assert_same(parameters(agent), parameters(restored))
    observation = np.ones(OBSERVATION)
    np.testing.assert_array_equal(agent.sample_actions(observation), restored.sample_actions(observation))


@pytest.mark.parametrize("selective", [True, False])
def test_momentum_moves_a_network_that_is_not_updated_only_in_serl_mode(selective):
    agent = make_agent(selective_optimizer_steps=selective)
    agent.update(make_batch(8))
    before = parameters(agent)
    agent.update(make_batch(8), {"critic"})
    after = parameters(agent)
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == ({"critic"} if selective else {"actor", "critic", "temperature"})


def test_targets_follow_the_critic_alone():
    agent = make_agent()
    slow = {name: value.clone() for name, value in agent.state.targets.state_dict().items()}
    agent.update(make_batch(8), {"actor", "temperature"})
    assert_same(slow, agent.state.targets.state_dict())
    agent.update(make_batch(8), {"critic"})
    tau, online = agent.config.soft_target_update_rate, agent.state.modules.state_dict()
    expected = {name: value + tau * (online[name] - value) for name, value in slow.items()}
    assert_same(expected, agent.state.targets.state_dict(), rtol=1e-6, atol=1e-7)


def test_high_utd_is_critic_steps_on_slices_then_the_rest_on_the_whole():
    one, other = make_agent(), make_agent()
    batch, noise = make_batch(12), one.draw_noise(12, 3)
    metrics = one.update_high_utd(batch, 3, noise)
    steps = []
    for index in range(3):
        part = {key: value[4 * index : 4 * index + 4] for key, value in batch.items()}
        steps.append(other.update(part, {"critic"}, noise.minibatch(index)))
    other.update(batch, {"actor", "temperature"}, noise)
    assert_same(parameters(one), parameters(other))
    torch.testing.assert_close(
        metrics["critic/critic_loss"], torch.stack([step["critic/critic_loss"] for step in steps]).mean()
    )


@pytest.mark.parametrize("rows", [1, 5, 8])
def test_accumulated_passes_equal_one_pass(rows):
    whole, parts = make_agent(microbatch_size=None), make_agent(microbatch_size=rows)
    batch, noise = make_batch(16), whole.draw_noise(16)
    assert_same(whole.update(batch, noise=noise), parts.update(batch, noise=noise), rtol=1e-5, atol=1e-6)
    assert_same(parameters(whole), parameters(parts), rtol=1e-4, atol=2e-5)


def test_only_the_drawn_target_critics_are_asked():
    agent = make_agent()
    batch, noise = make_batch(8), agent.draw_noise(8)
    before = critic_target(agent.state.modules, agent.state.targets, batch, noise, agent.config)
    asked = set(noise.critic_idx.tolist())
    assert len(asked) == 2
    with torch.no_grad():
        for value in agent.state.targets["critic"].parameters():
            value[[member for member in range(4) if member not in asked]] = torch.nan
    after = critic_target(agent.state.modules, agent.state.targets, batch, noise, agent.config)
    torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_nothing_is_bootstrapped_after_the_end():
    agent = make_agent(backup_entropy=True)
    batch, noise = make_batch(8), agent.draw_noise(8)
    batch["masks"] = torch.zeros(8)
    target = critic_target(agent.state.modules, agent.state.targets, batch, noise, agent.config)
    torch.testing.assert_close(target, batch["rewards"])


def test_the_actor_loss_computes_no_critic_weight_gradients():
    agent = make_agent()
    batch, noise = make_batch(8), agent.draw_noise(8)
    loss, _ = actor_loss(agent.state.modules, agent.state.targets, batch, noise, agent.config)
    critic = list(agent.state.modules["critic"].parameters())
    assert torch.autograd.grad(loss, critic, allow_unused=True) == (None,) * len(critic)


def test_learns_a_bandit():
    agent = make_agent(seed=2, discount=0.0, hidden_dims=(32, 32))
    best = torch.tensor([0.5, -0.5, 0.0])
    for step in range(500):
        batch = make_batch(128, seed=step)
        batch["rewards"] = -(batch["actions"] - best).square().sum(-1)
        agent.update(batch)
    chosen = agent.sample_actions(make_batch(32)["observations"].numpy(), argmax=True)
    assert np.abs(chosen - best.numpy()).mean() < 0.2


def test_actions_have_the_observations_shape_and_lie_inside():
    agent = make_agent()
    one = agent.sample_actions(np.zeros(OBSERVATION, np.float64))
    many = agent.sample_actions(np.zeros((7, OBSERVATION), np.float32))
    assert one.shape == (ACTION,)
    assert many.shape == (7, ACTION)
    assert one.dtype == np.float32
    assert np.abs(many).max() <= 1
    assert len(np.unique(many)) == many.size
    np.testing.assert_array_equal(*(agent.sample_actions(np.ones(OBSERVATION), argmax=True) for _ in range(2)))


def test_a_policy_of_its_own_acts_as_the_agent():
    agent = make_agent()
    policy = make_policy(OBSERVATION, ACTION, SMALL, seed=8)
    observation = np.linspace(-1, 1, OBSERVATION)
    assert not np.array_equal(
        policy.sample_actions(observation, argmax=True), agent.sample_actions(observation, argmax=True)
    )
    published = agent.policy_state_dict()
    agent.update(make_batch(8))
    policy.load_policy_state_dict(published)
    fresh = make_agent()
    np.testing.assert_array_equal(
        policy.sample_actions(observation, argmax=True), fresh.sample_actions(observation, argmax=True)
    )


def test_an_averaged_policy_acts_without_noise_and_travels_with_the_weights():
    agent = make_agent(average_policy=True)
    first = make_agent()
    observation = np.linspace(-1, 1, OBSERVATION)
    agent.update(make_batch(8), {"actor"})
    np.testing.assert_array_equal(
        agent.sample_actions(observation, argmax=True), first.sample_actions(observation, argmax=True)
    )
    agent.update(make_batch(8))
    policy = make_policy(OBSERVATION, ACTION, agent.config)
    policy.load_policy_state_dict(agent.policy_state_dict())
    for argmax in (True, False):
        policy.generator.set_state(agent.policy.generator.get_state())
        np.testing.assert_array_equal(
            policy.sample_actions(observation, argmax=argmax), agent.sample_actions(observation, argmax=argmax)
        )
    assert not np.array_equal(
        agent.sample_actions(observation, argmax=True), first.sample_actions(observation, argmax=True)
    )


def test_weights_of_another_policy_are_refused():
    agent = make_agent()
    state = agent.policy_state_dict()
    with pytest.raises(CheckpointError, match=r"mean_head\.bias"):
        agent.load_policy_state_dict({**state, "mean_head.bias": np.zeros(ACTION + 1, np.float32)})


def test_bfloat16_stays_close_and_keeps_parameters_in_float32():
    exact, rough = make_agent(), make_agent(precision="bfloat16")
    batch, noise = make_batch(64), exact.draw_noise(64)
    one, other = exact.update(batch, noise=noise), rough.update(batch, noise=noise)
    torch.testing.assert_close(other["critic/critic_loss"], one["critic/critic_loss"], rtol=2e-2, atol=2e-2)
    assert {value.dtype for value in parameters(rough).values()} == {torch.float32}
    assert {value.dtype for value in rough.state.optimizers["critic"].mu} == {torch.float32}


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_l15_values_and_log_probabilities_keep_the_precision_of_float32_in_the_last_layer(precision):
    """Values of 20 and more: of a sum that is rounded to 8 bits an error of 0.06 and more would stay."""
    agent = make_agent()
    batch, noise = make_batch(64), agent.draw_noise(64)
    critic, actor = agent.state.modules["critic"], agent.state.modules["actor"]
    with torch.no_grad():
        critic.head.weight *= 30.0
        actor.mean_head.weight *= 3.0
        with autocast(torch.device("cpu"), precision):
            seen = critic.network(torch.cat((batch["observations"], batch["actions"]), -1))
            values = critic(batch["observations"], batch["actions"])
            features = actor.network(batch["observations"])
            found = actor(batch["observations"])
            _, log_prob = found.sample_and_log_prob(noise.actor_eps)
        expected, loc = critic.head(seen.float()).squeeze(-1), actor.mean_head(features.float())
        _, expected_log_prob = type(found)(loc, found.scale_diag).sample_and_log_prob(noise.actor_eps)
    assert values.abs().max() > 20
    for one, other in ((values, expected), (found.loc, loc), (log_prob, expected_log_prob)):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


def test_wrong_requests_are_refused():
    agent = make_agent()
    with pytest.raises(DataError, match="does not divide"):
        agent.update_high_utd(make_batch(8), 3)
    with pytest.raises(DataError, match="Known"):
        agent.update(make_batch(8), {"crtic"})
    with pytest.raises(ConfigError, match="critic_subsample_size"):
        SacConfig(critic_ensemble_size=2, critic_subsample_size=3)
    with pytest.raises(ConfigError, match="microbatch_size"):
        SacConfig(microbatch_size=0)


@pytest.mark.parametrize("replacement", [True, False])
def test_subsets_repeat_only_with_replacement(replacement):
    noise = make_agent(subsample_with_replacement=replacement).draw_noise(400, 200)
    assert noise.critic_idx.shape == (200, 2)
    assert set(noise.critic_idx.flatten().tolist()) == {0, 1, 2, 3}
    assert bool((noise.critic_idx[:, 0] == noise.critic_idx[:, 1]).any()) == replacement


def test_without_a_compiler_the_agent_warns_once_and_stays_eager(monkeypatch):
    torch_utils.why_not_compile.cache_clear()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    agent = make_agent()
    with pytest.warns(RuntimeWarning, match="no C\\+\\+ compiler") as caught:
        agent.compile()
    assert len(caught) == 1
    agent.update(make_batch(8))
    torch_utils.why_not_compile.cache_clear()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_update_is_one_graph(precision):
    """Traced without a code generator, which is what the time goes into: as eager, but for Adam's rounding."""
    eager, traced = make_agent(precision=precision), make_agent(precision=precision)
    traced.compile(fullgraph=True, backend="aot_eager")
    for _ in range(2):
        one, other = (agent.update_high_utd(make_batch(8), 2) for agent in (eager, traced))
        assert_same(one, other, rtol=1e-5, atol=1e-6)
    assert_same(parameters(eager), parameters(traced), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_compiled_run_equals_an_eager_run_over_100_updates():
    """Full-size networks, the same noise. Rounding differs and Adam divides by small numbers, hence the tolerance."""
    eager, compiled = (SACAgent.create_states(10, 4) for _ in range(2))
    compiled.compile(fullgraph=True)
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        batch = make_wide_batch(64, generator)
        assert_same(eager.update(batch), compiled.update(batch), rtol=1e-3, atol=1e-4)
    assert_same(parameters(eager), parameters(compiled), rtol=1e-3, atol=1e-4)


def make_wide_batch(size, generator):
    def normal(*shape):
        return torch.randn(shape, generator=generator)

    return {
        "observations": normal(size, 10),
        "actions": torch.tanh(normal(size, 4)),
        "next_observations": normal(size, 10),
        "rewards": normal(size),
        "masks": torch.ones(size),
    }
