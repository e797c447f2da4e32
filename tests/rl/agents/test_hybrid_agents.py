"""Laws of the hybrid agents on states."""

import dataclasses

import numpy as np
import pytest
import torch

from rl.agents.continuous.sac import SACAgent, SacConfig
from rl.agents.continuous.sac_hybrid_dual import DualArmConfig, SACAgentHybridDualArm
from rl.agents.continuous.sac_hybrid_policy import make_hybrid_policy
from rl.agents.continuous.sac_hybrid_single import SACAgentHybridSingleArm
from rl.errors import CheckpointError, ConfigError, DataError
from rl.nn.flax_params import to_flax_params
from tests.rl.agents.hybrids import (
    ACTION,
    OBSERVATION,
    STATE_AGENTS,
    changed,
    loss_of,
    make_agent,
    make_batch,
    make_config,
)
from tests.rl.agents.pixels import assert_same, moved, parameters

ARMS = pytest.mark.parametrize("arms", [1, 2])
NETWORKS = {"actor", "critic", "grasp_critic", "temperature"}


def grippers(actions, arms=1):
    return actions.reshape(*actions.shape[:-1], arms, -1)[..., -1]


def moved_networks(agent, step):
    before = parameters(agent.state.modules)
    step()
    return {name.split(".")[0] for name in moved(before, agent.state.modules)}


@ARMS
@pytest.mark.parametrize("names", [{"grasp_critic"}, {"critic", "grasp_critic"}, {"actor", "temperature"}, None])
def test_a_step_moves_the_chosen_networks_alone(arms, names):
    agent = make_agent(arms)
    batch = make_batch(8, ACTION[arms])
    slow = parameters(agent.state.targets)
    assert moved_networks(agent, lambda: agent.update(batch, names)) == (names or NETWORKS)
    assert bool(moved(slow, agent.state.targets)) == (names is None or "critic" in names)


def test_targets_of_the_grasp_critic_follow_with_the_critics():
    agent = make_agent()
    slow = parameters(agent.state.targets["grasp_critic"])
    agent.update(make_batch(8), {"critic", "grasp_critic"})
    tau, online = agent.config.soft_target_update_rate, agent.state.modules["grasp_critic"].state_dict()
    expected = {name: value + tau * (online[name] - value) for name, value in slow.items()}
    assert_same(expected, parameters(agent.state.targets["grasp_critic"]), rtol=1e-6, atol=1e-7)


@ARMS
def test_a_grasp_critic_changes_nothing_for_the_rest(arms):
    """The critics and the policy learn as a plain agent does that never knew of grippers."""
    hybrid = make_agent(arms)
    plain = SACAgent.create_states(
        OBSERVATION,
        ACTION[arms] - arms,
        SacConfig(
            critic_ensemble_size=2,
            critic_subsample_size=None,
            discount=0.97,
            hidden_dims=(16, 16),
            actor_optimizer=hybrid.config.actor_optimizer,
            critic_optimizer=hybrid.config.critic_optimizer,
            temperature_optimizer=hybrid.config.temperature_optimizer,
        ),
    )
    for seed in range(3):
        batch = make_batch(8, ACTION[arms], seed)
        hybrid.update(batch)
        plain.update(changed(batch, actions=hybrid.layout.continuous(batch["actions"])))
    for name in ("actor", "critic", "temperature"):
        assert_same(parameters(plain.state.modules[name]), parameters(hybrid.state.modules[name]))


def test_the_schedule_is_hil_serls():
    """`cta_ratio` 3: two steps of the critics, then one of all networks, each on its own batch."""
    one, other = make_agent(), make_agent()
    batch, noise = make_batch(12), one.draw_noise(12, 3)
    metrics = one.update_high_utd(batch, 3, noise)
    parts = [{key: value[4 * index : 4 * index + 4] for key, value in batch.items()} for index in range(3)]
    steps = [other.update(part, {"critic", "grasp_critic"}, noise.minibatch(i)) for i, part in enumerate(parts[:2])]
    rest = noise.rows(8, 12)
    last = {**vars(noise.minibatch(2)), "actor_eps": rest.actor_eps, "temperature_eps": rest.temperature_eps}
    steps.append(other.update(parts[2], NETWORKS, type(noise)(**last)))
    assert_same(parameters(one.state.modules), parameters(other.state.modules))
    assert metrics.keys() == steps[2].keys()
    for key in ("critic/critic_loss", "grasp_critic/grasp_critic_loss"):
        torch.testing.assert_close(metrics[key], torch.stack([step[key] for step in steps]).mean())
    assert int(one.state.optimizers["grasp_critic"].count) == 3
    assert int(one.state.optimizers["actor"].count) == 1


@ARMS
def test_as_in_hil_serl_the_trunk_ends_linear_and_the_target_entropy_counts_the_grippers(arms):
    """H6, H14."""
    config = make_config(arms, grasp_hidden_dims=(8, 6))
    ours, theirs = (
        STATE_AGENTS[arms].create_states(OBSERVATION, ACTION[arms], settings)
        for settings in (config, config.as_in_serl())
    )
    names = [{name for name, _ in agent.state.modules["grasp_critic"].named_parameters()} for agent in (ours, theirs)]
    assert names[0] - names[1] == {"network.norms.1.weight", "network.norms.1.bias"}
    assert theirs.config.target_entropy == -ACTION[arms] / 2
    batch, noise = make_batch(8, ACTION[arms]), ours.draw_noise(8)
    penalties = [loss_of(agent, "temperature", batch, noise)[0] for agent in (ours, theirs)]
    torch.testing.assert_close(penalties[1] - penalties[0], 0.01 * torch.tensor(arms / 2), rtol=1e-4, atol=1e-6)
    given = dataclasses.replace(config.as_in_serl(), target_entropy=-1.0)
    assert STATE_AGENTS[arms].create_states(OBSERVATION, ACTION[arms], given).config.target_entropy == -1.0


def test_serls_schedule_is_an_option():
    one, other = (make_agent(joint_last_step=False) for _ in range(2))
    batch, noise = make_batch(12), one.draw_noise(12, 3)
    one.update_high_utd(batch, 3, noise)
    for index in range(3):
        part = {key: value[4 * index : 4 * index + 4] for key, value in batch.items()}
        other.update(part, {"critic", "grasp_critic"}, noise.minibatch(index))
    other.update(batch, {"actor", "temperature"}, noise)
    assert_same(parameters(one.state.modules), parameters(other.state.modules))


def test_a_ratio_of_one_is_one_step_of_everything():
    one, other = make_agent(), make_agent()
    noise = one.draw_noise(8)
    whole = make_agent().draw_noise(8, 1)
    assert torch.equal(whole.critic_eps[0], noise.critic_eps)
    assert_same(one.update_high_utd(make_batch(8), 1, whole), other.update(make_batch(8), None, noise))
    assert_same(parameters(one.state.modules), parameters(other.state.modules))


@pytest.mark.parametrize("rows", [1, 5])
def test_accumulated_passes_equal_one_pass(rows):
    whole, parts = make_agent(microbatch_size=None), make_agent(microbatch_size=rows)
    batch, noise = make_batch(16), whole.draw_noise(16)
    assert_same(whole.update(batch, noise=noise), parts.update(batch, noise=noise), rtol=1e-5, atol=1e-6)
    assert_same(parameters(whole.state.modules), parameters(parts.state.modules), rtol=1e-4, atol=2e-5)


@ARMS
def test_a_restored_agent_continues_exactly(tmp_path, arms):
    changes = {"grasp_exploration": 0.5, "average_policy": True, "critic_sees_gripper": True}
    agent, restored = make_agent(arms, **changes), make_agent(arms, seed=9, **changes)
    batch = make_batch(8, ACTION[arms])
    agent.update_high_utd(batch, 2)
    agent.sample_actions(np.zeros(OBSERVATION))
    torch.save(agent.state_dict(), tmp_path / "agent.pt")
    restored.load_state_dict(torch.load(tmp_path / "agent.pt", weights_only=True))
    for _ in range(2):
        assert_same(agent.update_high_utd(batch, 2), restored.update_high_utd(batch, 2))
    assert_same(parameters(agent.state.modules), parameters(restored.state.modules))
    many = np.ones((20, OBSERVATION))
    np.testing.assert_array_equal(agent.sample_actions(many), restored.sample_actions(many))


@ARMS
def test_actions_have_the_observations_shape_and_grippers_at_whole_numbers(arms):
    """H6: `argmax` needs no seed."""
    agent = make_agent(arms)
    many = np.random.default_rng(0).normal(size=(50, OBSERVATION))
    best, drawn = agent.sample_actions(many, argmax=True), agent.sample_actions(many)
    assert best.shape == drawn.shape == (50, ACTION[arms])
    assert agent.sample_actions(many[0]).shape == (ACTION[arms],)
    assert best.dtype == drawn.dtype == np.float32
    assert np.abs(drawn).max() <= 1
    values = agent.state.modules["grasp_critic"](torch.from_numpy(many).float()).argmax(-1)
    for actions in (best, drawn):
        np.testing.assert_array_equal(grippers(actions, arms), agent.layout.moves_of(values).numpy())
    np.testing.assert_array_equal(agent.sample_actions(many, argmax=True), best)
    np.testing.assert_allclose(agent.sample_actions(many[7], argmax=True), best[7], rtol=1e-5, atol=1e-6)
    assert not np.array_equal(agent.sample_actions(many), drawn)


def test_explored_grippers_move_evenly_and_the_best_stay_best():
    agent = make_agent(2, grasp_exploration=1.0)
    many = np.zeros((9000, OBSERVATION), np.float32)
    labels = agent.layout.labels(torch.from_numpy(agent.sample_actions(many)))
    counts = labels.bincount(minlength=9).double()
    # chi-squared with 8 degrees of freedom: above 31.8 once in 10 000 seeds; the seed is fixed
    assert ((counts - 1000) ** 2 / 1000).sum() < 31.8
    assert len(np.unique(grippers(agent.sample_actions(many, argmax=True), 2), axis=0)) == 1


def test_exploration_replaces_its_share_of_the_best_moves():
    agent = make_agent(grasp_exploration=0.3)
    many = np.zeros((10_000, OBSERVATION), np.float32)
    best = agent.sample_actions(many[0], argmax=True)[-1]
    share = (agent.sample_actions(many)[:, -1] != best).mean()
    assert abs(share - 0.3 * 2 / 3) < 0.02  # five standard deviations


@pytest.mark.parametrize("averaged", [False, True])
def test_a_policy_of_its_own_acts_as_the_agent(averaged):
    agent = make_agent(2, average_policy=averaged, grasp_exploration=0.5)
    agent.update(make_batch(8, 8))
    policy = make_hybrid_policy(OBSERVATION, 8, agent.config, seed=8)
    many = np.random.default_rng(0).normal(size=(20, OBSERVATION))
    assert not np.array_equal(policy.sample_actions(many, argmax=True), agent.sample_actions(many, argmax=True))
    policy.load_policy_state_dict(agent.policy_state_dict())
    for argmax in (True, False):
        policy.generator.set_state(agent.policy.generator.get_state())
        np.testing.assert_array_equal(
            policy.sample_actions(many, argmax=argmax), agent.sample_actions(many, argmax=argmax)
        )


def test_an_averaged_policy_takes_the_averaged_best_moves_without_noise_and_the_newest_with_it():
    agent = make_agent(average_policy=True)
    many = np.random.default_rng(0).normal(size=(20, OBSERVATION))
    before = agent.sample_actions(many, argmax=True)
    with torch.no_grad():
        agent.state.modules["actor"].mean_head.bias += 1.0
        agent.state.modules["grasp_critic"].head.bias += torch.tensor([1e3, 0.0, 0.0])
    np.testing.assert_array_equal(agent.sample_actions(many, argmax=True), before)
    assert not (grippers(before) == -1).all()
    assert (grippers(agent.sample_actions(many)) == -1).all()


def test_weights_of_another_policy_are_refused():
    agent = make_agent()
    with pytest.raises(CheckpointError, match="grasp_critic"):
        make_hybrid_policy(OBSERVATION, 4, make_config(2)).load_policy_state_dict(agent.policy_state_dict())
    with pytest.raises(CheckpointError, match="another policy"):
        agent.load_policy_state_dict(SACAgent.create_states(OBSERVATION, 3).policy_state_dict())


@pytest.mark.parametrize("arms", [1, 2])
def test_learns_a_bandit_in_which_only_the_grasp_matters(arms):
    """Close where the first number of the observation is negative, open where it is positive."""
    agent = make_agent(arms, discount=0.0)
    for step in range(150):
        batch = make_batch(64, ACTION[arms], step)
        wanted = batch["observations"][:, :arms].sign()
        moves = agent.layout.moves(batch["actions"])
        agent.update(changed(batch, rewards=-(moves - wanted).abs().mean(-1), grasp_penalty=torch.zeros(64)))
    observations = make_batch(200, seed=999)["observations"].numpy()
    chosen = grippers(agent.sample_actions(observations, argmax=True), arms)
    assert (chosen == np.sign(observations[:, :arms])).mean() > 0.85


def test_the_penalty_alone_decides_between_moves_of_equal_reward():
    agent = make_agent(discount=0.0)
    for step in range(120):
        batch = make_batch(64, seed=step)
        moves = agent.layout.moves(batch["actions"])[:, 0]
        agent.update(changed(batch, rewards=torch.zeros(64), grasp_penalty=-0.5 * moves.abs()))
    observations = make_batch(100, seed=999)["observations"].numpy()
    np.testing.assert_array_equal(agent.sample_actions(observations, argmax=True)[:, -1], 0.0)


def test_an_update_is_one_graph():
    """Traced without a code generator, which is what the time goes into: equal to eager."""
    eager, traced = (make_agent(2, critic_sees_gripper=True) for _ in range(2))
    traced.compile(fullgraph=True, backend="aot_eager")
    for seed in range(2):
        batch = make_batch(8, 8, seed)
        assert_same(eager.update_high_utd(batch, 2), traced.update_high_utd(batch, 2), rtol=1e-5, atol=1e-6)
    assert_same(parameters(eager.state.modules), parameters(traced.state.modules), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_compiled_run_equals_an_eager_run_over_50_updates():
    """Full-size networks, the same noise. Rounding differs and Adam divides by small numbers, hence the tolerance."""
    eager, compiled = (SACAgentHybridSingleArm.create_states(OBSERVATION, 7) for _ in range(2))
    compiled.compile(fullgraph=True)
    for seed in range(50):
        batch = make_batch(64, 7, seed)
        assert_same(eager.update(batch), compiled.update(batch), rtol=1e-3, atol=1e-4)
    assert_same(parameters(eager.state.modules), parameters(compiled.state.modules), rtol=1e-3, atol=1e-4)


def test_parameters_have_hil_serls_names_and_shapes():
    params = to_flax_params(make_agent(2).state.modules)
    found = {path: params[path].shape for path in params if path.startswith("modules_grasp_critic/")}
    assert found == {
        "modules_grasp_critic/network/Dense_0/kernel": (OBSERVATION, 16),
        "modules_grasp_critic/network/Dense_0/bias": (16,),
        "modules_grasp_critic/network/LayerNorm_0/scale": (16,),
        "modules_grasp_critic/network/LayerNorm_0/bias": (16,),
        "modules_grasp_critic/Dense_0/kernel": (16, 9),
        "modules_grasp_critic/Dense_0/bias": (9,),
    }


def test_wrong_requests_are_refused():
    agent = make_agent()
    batch = make_batch(8)
    with pytest.raises(DataError, match="no field 'grasp_penalty'"):
        agent.update({key: value for key, value in batch.items() if key != "grasp_penalty"})
    with pytest.raises(DataError, match="length 7, this agent's have 4"):
        agent.update(make_batch(8, 7))
    with pytest.raises(DataError, match="does not divide"):
        agent.update_high_utd(batch, 3)
    with pytest.raises(DataError, match="Known: "):
        agent.update(batch, {"grasp"})
    with pytest.raises(ConfigError, match="not a SacConfig"):
        SACAgentHybridSingleArm.create_states(5, 7, SacConfig())
    with pytest.raises(ConfigError, match="takes a SingleArmConfig, not a DualArmConfig"):
        SACAgentHybridSingleArm.create_states(5, 14, DualArmConfig())
    with pytest.raises(ConfigError, match="not that of 2 arm"):
        SACAgentHybridDualArm.create_states(5, 7)
    with pytest.raises(ConfigError, match="grasp_exploration"):
        DualArmConfig(grasp_exploration=1.5)
