"""Laws of the hybrid agents' losses: the grasp critic's target, its penalty, and what the other critics see."""

import numpy as np
import pytest
import torch

from rl.agents.continuous.sac_hybrid_losses import best_moves
from rl.agents.continuous.sac_losses import actor_loss, critic_loss
from tests.rl.agents.hybrids import (
    ACTION,
    changed,
    loss_of,
    make_agent,
    make_batch,
    set_targets_apart,
    with_config,
)

ARMS = pytest.mark.parametrize("arms", [1, 2])


def table(module, observations):
    """The grasp critic's values (B, K), in numpy, of a network with one tanh layer and no norm."""
    weight = {name: value.detach().numpy().astype(np.float64) for name, value in module.state_dict().items()}
    hidden = np.tanh(observations.numpy() @ weight["network.dense.0.weight"].T + weight["network.dense.0.bias"])
    return hidden @ weight["head.weight"].T + weight["head.bias"]


@ARMS
def test_the_target_is_double_dqns_by_hand(arms):
    agent = set_targets_apart(make_agent(arms, use_layer_norm=False, discount=0.9, reward_bias=0.25))
    batch = make_batch(64, ACTION[arms])
    online, slow = (nets["grasp_critic"] for nets in (agent.state.modules, agent.state.targets))
    next_online, next_slow = (table(net, batch["next_observations"]) for net in (online, slow))
    values = table(online, batch["observations"])
    errors, single_dqn = [], []
    for row in range(64):
        label = 0
        for arm in range(arms):
            label = 3 * label + round(float(batch["actions"][row, ACTION[arms] // arms * (arm + 1) - 1])) + 1
        reward = float(batch["rewards"][row] + batch["grasp_penalty"][row]) + 0.25
        bootstrap = 0.9 * float(batch["masks"][row])
        errors.append(values[row, label] - reward - bootstrap * next_slow[row, next_online[row].argmax()])
        single_dqn.append(values[row, label] - reward - bootstrap * next_slow[row].max())
    loss, _ = loss_of(agent, "grasp_critic", batch)
    np.testing.assert_allclose(loss.item(), np.square(errors).mean(), rtol=1e-5)
    assert abs(np.square(single_dqn).mean() - loss.item()) > 1e-3


@ARMS
def test_the_penalty_reaches_the_grasp_critics_gradient_and_nothing_else(arms):
    """LR1. The gradient of a bias of the head is 2 mean(Q - target) over its label's rows: the penalty adds to it."""
    agent = make_agent(arms)
    batch = make_batch(32, ACTION[arms])
    dearer = changed(batch, grasp_penalty=batch["grasp_penalty"] - 0.5)
    noise = agent.draw_noise(32)
    bias = agent.state.modules["grasp_critic"].head.bias
    found = []
    for data in (batch, dearer):
        loss, metrics = loss_of(agent, "grasp_critic", data)
        found.append((torch.autograd.grad(loss, bias)[0], metrics))
    (grad, metrics), (dearer_grad, dearer_metrics) = found
    torch.testing.assert_close(dearer_metrics["target_grasp_qs"], metrics["target_grasp_qs"] - 0.5)
    torch.testing.assert_close(dearer_metrics["grasp_rewards"], metrics["grasp_rewards"] - 0.5)
    share = agent.layout.labels(batch["actions"]).bincount(minlength=agent.layout.choices) / 32
    torch.testing.assert_close(dearer_grad, grad + 2 * 0.5 * share)
    for name in ("actor", "critic", "temperature"):
        assert torch.equal(loss_of(agent, name, batch, noise)[0], loss_of(agent, name, dearer, noise)[0])


@ARMS
def test_nothing_is_bootstrapped_after_the_end(arms):
    agent = set_targets_apart(make_agent(arms))
    batch = changed(make_batch(16, ACTION[arms]), masks=torch.zeros(16))
    _, metrics = loss_of(agent, "grasp_critic", batch)
    torch.testing.assert_close(metrics["target_grasp_qs"], (batch["rewards"] + batch["grasp_penalty"]).mean())


@pytest.mark.parametrize("name", ["critic", "grasp_critic"])
def test_the_bias_shifts_the_targets_of_both_kinds_of_critics(name):
    agent, biased = make_agent(), make_agent(reward_bias=-0.3)
    batch, noise = make_batch(16), agent.draw_noise(16)
    key = {"critic": "target_qs", "grasp_critic": "target_grasp_qs"}[name]
    plain, shifted = (loss_of(one, name, batch, noise)[1][key] for one in (agent, biased))
    torch.testing.assert_close(shifted, plain - 0.3)


def test_two_arms_with_one_gripper_held_are_one_arm():
    """When the second gripper never moves, and its moves are never best, the joint table is the first arm's."""
    dual, single = set_targets_apart(make_agent(2)), make_agent(1, action_dim=7)
    held = torch.tensor([3 * first + 1 for first in range(3)])
    for of_two, of_one in zip(
        (dual.state.modules, dual.state.targets), (single.state.modules, single.state.targets), strict=True
    ):
        two, one = of_two["grasp_critic"], of_one["grasp_critic"]
        with torch.no_grad():
            others = [label for label in range(9) if label not in held.tolist()]
            two.head.bias[others] -= 1e3
            one.network.load_state_dict(two.network.state_dict())
            one.head.weight.copy_(two.head.weight[held])
            one.head.bias.copy_(two.head.bias[held])
    batch = make_batch(32, 8)
    batch["actions"][:, 7] = 0.0
    alone = changed(batch, actions=batch["actions"][:, [0, 1, 2, 4, 5, 6, 3]])
    (joint, joint_metrics), (own, own_metrics) = (
        loss_of(agent, "grasp_critic", data) for agent, data in ((dual, batch), (single, alone))
    )
    torch.testing.assert_close(joint, own)
    torch.testing.assert_close(joint_metrics, own_metrics)
    observations = batch["observations"].numpy()
    np.testing.assert_array_equal(dual.sample_actions(observations, argmax=True)[:, 7], np.zeros(32))
    np.testing.assert_array_equal(
        dual.sample_actions(observations, argmax=True)[:, 3], single.sample_actions(observations, argmax=True)[:, 6]
    )


@ARMS
def test_what_the_grippers_did_reaches_the_critics_only_on_request(arms):
    batch = make_batch(16, ACTION[arms])
    mirrored = changed(batch, actions=batch["actions"].clone())
    mirrored["actions"].unflatten(-1, (arms, -1))[..., -1] *= -1
    for sees in (False, True):
        agent = make_agent(arms, critic_sees_gripper=sees)
        noise = agent.draw_noise(16)
        one, other = (loss_of(agent, "critic", data, noise)[0] for data in (batch, mirrored))
        assert torch.equal(one, other) == (not sees)


@ARMS
@pytest.mark.parametrize("sees", [False, True])
def test_the_other_losses_are_sacs_on_the_continuous_part(arms, sees):
    agent = set_targets_apart(make_agent(arms, critic_sees_gripper=sees))
    batch, noise = make_batch(16, ACTION[arms]), agent.draw_noise(16)
    modules, targets, layout = agent.state.modules, agent.state.targets, agent.layout
    plain = changed(batch, actions=layout.continuous(batch["actions"]))
    if sees:
        values = {when: modules["grasp_critic"](batch[when]) for when in ("observations", "next_observations")}
        best = {when: layout.moves_of(value.argmax(-1)) for when, value in values.items()}
        plain["actions"] = torch.cat((plain["actions"], layout.moves(batch["actions"])), -1)
        plain |= {"held_actions": best["observations"], "next_held_actions": best["next_observations"]}
    for name, sacs in (("critic", critic_loss), ("actor", actor_loss)):
        expected, expected_metrics = sacs(modules, targets, plain, noise, agent.config)
        loss, metrics = loss_of(agent, name, batch, noise)
        torch.testing.assert_close(loss, expected)
        torch.testing.assert_close(metrics, expected_metrics)


def test_the_actors_loss_holds_the_grippers_where_the_grasp_critic_would_put_them():
    agent = make_agent(critic_sees_gripper=True)
    batch, noise = make_batch(16), agent.draw_noise(16)
    moves = best_moves(agent.state.modules, batch["observations"], 4, agent.config)
    before = loss_of(agent, "actor", batch, noise)[0]
    first = agent.state.modules["critic"].network.dense[0].weight
    with torch.no_grad():
        agent.state.modules["grasp_critic"].head.bias += torch.tensor([0.0, 0.0, 1e3])
    assert torch.equal(best_moves(agent.state.modules, batch["observations"], 4, agent.config), torch.ones(16, 1))
    after = loss_of(agent, "actor", batch, noise)[0]
    assert not moves.eq(1).all()
    assert not torch.equal(before, after)
    with torch.no_grad():
        first[..., -1] = 0.0
    blind = loss_of(agent, "actor", batch, noise)[0]
    with torch.no_grad():
        agent.state.modules["grasp_critic"].head.bias -= torch.tensor([0.0, 0.0, 2e3])
    assert torch.equal(loss_of(agent, "actor", batch, noise)[0], blind)


@ARMS
def test_the_target_entropy_counts_the_continuous_numbers_alone(arms):
    """H6: the loss is temperature * (entropy - target), so equal to that of a target of -C / 2 that is given."""
    agent = make_agent(arms)
    batch, noise = make_batch(16, ACTION[arms]), agent.draw_noise(16)
    loss = loss_of(agent, "temperature", batch, noise)[0]
    continuous = ACTION[arms] - arms
    for target, same in ((-continuous / 2, True), (-ACTION[arms] / 2, False)):
        config = with_config(agent, target_entropy=target)
        given = agent.losses["temperature"](agent.state.modules, agent.state.targets, batch, noise, config)[0]
        assert torch.equal(loss, given) == same
