"""With standardised inputs the units of an observation no longer matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rl.agents.continuous.drq import DrQAgent, make_drq_policy
from rl.agents.continuous.proposal import make_policy
from rl.agents.continuous.sac import SACAgent, SacConfig
from rl.networks.standardise import Standardise
from tests.rl.agents.pixels import CAMERAS, SMALL, make_batch

CONFIG = SacConfig(critic_ensemble_size=2, critic_subsample_size=None, hidden_dims=(16, 16), standardises_inputs=True,
                   average_policy=True)  # fmt: skip
UNITS = np.array((1e-3, 1.0, 1e3), np.float32)


def batch(generator: np.random.Generator, units: np.ndarray) -> dict[str, torch.Tensor]:
    rows = {
        "observations": generator.normal(size=(32, 3)) * units,
        "next_observations": generator.normal(size=(32, 3)) * units,
        "actions": generator.uniform(-1, 1, (32, 2)),
        "rewards": generator.normal(size=32),
        "masks": np.ones(32),
    }
    return {name: torch.from_numpy(value.astype(np.float32)) for name, value in rows.items()}


def trained(units: np.ndarray) -> SACAgent:
    agent = SACAgent.create_states(3, 2, CONFIG, seed=0)
    agent.fit_inputs(np.random.default_rng(0).normal(2.0, 3.0, (500, 3)).astype(np.float32) * units)
    for index in range(5):
        agent.update_high_utd(batch(np.random.default_rng(index), units), 2)
    return agent


def test_learning_does_not_depend_on_units():
    observation = np.array((0.3, -1.0, 2.0), np.float32)
    one, other = trained(np.ones(3, np.float32)), trained(UNITS)
    for argmax in (True, False):
        expected = one.sample_actions(observation, argmax=argmax)
        np.testing.assert_allclose(other.sample_actions(observation * UNITS, argmax=argmax), expected, atol=2e-4)
    assert SACAgent.create_states(3, 2, CONFIG, seed=0).sample_actions(observation, argmax=True) != pytest.approx(
        expected
    )


def test_the_scales_travel_with_the_weights_and_with_the_checkpoint():
    agent = trained(UNITS)
    observation = np.array((0.3, -1.0, 2.0), np.float32) * UNITS
    actor = make_policy(3, 2, CONFIG, seed=9)
    actor.load_policy_state_dict(agent.policy_state_dict())
    again = SACAgent.create_states(3, 2, CONFIG, seed=5)
    again.load_state_dict(agent.state_dict())
    for other in (actor, again):
        np.testing.assert_array_equal(
            other.sample_actions(observation, argmax=True), agent.sample_actions(observation, argmax=True)
        )


def test_what_lies_far_outside_is_cut_off():
    agent = trained(np.ones(3, np.float32))
    far, farther = (np.full(3, value, np.float32) for value in (1e5, 1e9))
    np.testing.assert_array_equal(agent.sample_actions(far, argmax=True), agent.sample_actions(farther, argmax=True))


def test_l11_critics_share_no_layer():
    critic = SACAgent.create_states(3, 2, CONFIG, seed=0).state.modules["critic"]
    shapes = {name: tuple(value.shape) for name, value in critic.named_parameters()}
    assert shapes
    assert all(shape[0] == CONFIG.critic_ensemble_size for shape in shapes.values()), shapes
    one, other = critic.head.weight
    assert not torch.equal(one, other)
    observation, action = torch.randn(5, 3), torch.randn(5, 2)
    with torch.no_grad():
        before = critic(observation, action)
        critic.head.weight[0] += 1.0
        after = critic(observation, action)
    assert not torch.allclose(before[0], after[0])
    assert torch.equal(before[1], after[1])


def test_l11_a_run_whose_critics_shared_their_head_is_read_and_computes_the_same():
    agent = trained(np.ones(3, np.float32))
    stored = agent.state_dict()
    common = {name: value.mean(0) for name, value in stored["modules"].items() if name.startswith("critic.head.")}
    before = {**stored, "optimizers": {**stored["optimizers"]}}
    for group in ("modules", "targets"):
        before[group] = stored[group] | common
    critic = stored["optimizers"]["critic"]
    before["optimizers"]["critic"] = critic | {
        name: [*critic[name][:-2], *(value.sum(0) for value in critic[name][-2:])] for name in ("mu", "nu")
    }
    again = SACAgent.create_states(3, 2, CONFIG, seed=5)
    again.load_state_dict(before)
    head = again.state.modules["critic"].head
    for member in (0, 1):
        torch.testing.assert_close(head.weight[member], common["critic.head.weight"])
    torch.testing.assert_close(again.state.optimizers["critic"].mu[-2].sum(0), critic["mu"][-2].sum(0))
    again.update_high_utd(batch(np.random.default_rng(9), np.ones(3, np.float32)), 2)


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_l14_what_hardly_moves_is_not_blown_up(scale):
    """Columns: moves, an open gripper that trembles, about 0 for ever, a constant."""
    rng = np.random.default_rng(0)
    rows = np.stack([rng.normal(0.4, 0.1, 500), rng.normal(0.8, 1e-5, 500), np.zeros(500), np.full(500, 0.5)], 1)
    layer = Standardise(4)
    layer.fit(torch.from_numpy((rows * [scale, 1, 1, 1]).astype(np.float32)))
    moved = torch.tensor([[0.5 * scale, 0.0, 0.1, 0.6]])
    np.testing.assert_allclose(layer(moved)[0], [1.0, -1.0, 0.1, 0.2], atol=0.1)


STATE_UNITS = np.array((1e-3, 1.0, 1e3, 10.0), np.float32)


def pixel_batch(size, seed=0):
    """Images that are large enough for the encoder."""
    found = make_batch(size, seed)
    for when in ("observations", "next_observations"):
        for key in CAMERAS:
            found[when][key] = found[when][key].repeat_interleave(2, -2).repeat_interleave(2, -3)
    return found


def pixel_trained(kind, config, units):
    agent = make(kind, config)
    agent.fit_inputs({"state": np.random.default_rng(0).normal(2.0, 3.0, (500, 2, 4)).astype(np.float32) * units})
    for index in range(3):
        found = pixel_batch(8, seed=index)
        for when in ("observations", "next_observations"):
            found[when]["state"] = found[when]["state"] * torch.from_numpy(units)
        agent.update_high_utd(found, 2)
    return agent


def make(kind, config):
    sample = {key: value[0].numpy() for key, value in pixel_batch(1)["observations"].items()}
    return kind.create_drq(sample, 3, config, seed=0)


@pytest.mark.parametrize("average", [False, True])
def test_l12_agents_that_see_images_standardise_their_state(average):
    config = replace(SMALL, standardises_inputs=True, average_policy=average, crop_padding=0)
    one, other = pixel_trained(DrQAgent, config, np.ones(4, np.float32)), pixel_trained(DrQAgent, config, STATE_UNITS)
    seen = {key: value[0].numpy() for key, value in pixel_batch(1, seed=7)["observations"].items()}
    scaled = seen | {"state": seen["state"] * STATE_UNITS}
    expected = one.sample_actions(seen, argmax=True)
    np.testing.assert_allclose(other.sample_actions(scaled, argmax=True), expected, atol=1e-3)
    assert not np.allclose(one.sample_actions(scaled, argmax=True), expected, atol=1e-3)
    actor = make_drq_policy(seen, 3, config, seed=9)
    actor.load_policy_state_dict(other.policy_state_dict())
    np.testing.assert_allclose(actor.sample_actions(scaled, argmax=True), expected, atol=1e-3)
