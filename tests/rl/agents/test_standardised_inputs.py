"""With standardised inputs the units of an observation no longer matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rl.agents.continuous.sac import SACAgent, SacConfig
from rl.agents.continuous.sac_policy import make_policy

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
