"""What keeps a policy that is good from the start where it is: critics that learn first, and a penalty on its mode."""

from __future__ import annotations

import pytest
import torch

from rl.agents.continuous.sac_losses import actor_loss
from rl.errors import ConfigError
from tests.rl.agents.test_sac import assert_same, make_agent, make_batch, parameters


def changed(before: dict, agent) -> set[str]:
    now = parameters(agent)
    return {name.split(".")[0] for name, value in before.items() if not torch.equal(value, now[name])}


@pytest.mark.parametrize("joint_last_step", [False, True])
def test_policy_and_temperature_wait_for_the_steps_of_the_critics(joint_last_step: bool):
    agent = make_agent(actor_starts_after=4, joint_last_step=joint_last_step)
    for _ in range(2):
        before = parameters(agent)
        metrics = agent.update_high_utd(make_batch(8), 2)
        assert changed(before, agent) == {"critic"}
        assert {name.split("/")[0] for name in metrics if "/" in name} == {"critic"}
    before = parameters(agent)
    agent.update_high_utd(make_batch(8), 2)
    assert changed(before, agent) == {"actor", "critic", "temperature"}


def test_without_waiting_every_update_is_as_before():
    one, other = make_agent(), make_agent(actor_starts_after=0, mode_penalty=0.0)
    assert_same(one.update_high_utd(make_batch(8), 2), other.update_high_utd(make_batch(8), 2))


@pytest.mark.parametrize("updates", [1, 3])
def test_a_stored_agent_goes_on_waiting_or_has_waited(updates: int):
    agent, restored = make_agent(actor_starts_after=4), make_agent(seed=1, actor_starts_after=4)
    for _ in range(3):
        restored.update_high_utd(make_batch(8), 2)
    for _ in range(updates):
        agent.update_high_utd(make_batch(8), 2)
    restored.load_state_dict(agent.state_dict())
    for _ in range(2):
        assert_same(agent.update_high_utd(make_batch(8), 2), restored.update_high_utd(make_batch(8), 2))
    assert_same(parameters(agent), parameters(restored))


def test_the_penalty_is_the_squared_mode():
    plain, penalised = make_agent(), make_agent(mode_penalty=3.0)
    batch, noise = make_batch(8), plain.draw_noise(8)
    loss, more = (
        actor_loss(agent.state.modules, agent.state.targets, batch, noise, agent.config)[0]
        for agent in (plain, penalised)
    )
    modes = plain.state.modules["actor"](batch["observations"]).mode()
    torch.testing.assert_close(more - loss, 3.0 * modes.square().sum(-1).mean())


def test_a_large_penalty_draws_the_mode_to_zero():
    agent, batch = make_agent(mode_penalty=1e3), make_batch(64)
    before = agent.state.modules["actor"](batch["observations"]).mode().abs().mean()
    for _ in range(200):
        agent.update(batch, {"actor"})
    assert agent.state.modules["actor"](batch["observations"]).mode().abs().mean() < 0.2 * before


@pytest.mark.parametrize(
    "settings", [{"actor_starts_after": -1}, {"mode_penalty": -1.0}, {"mode_penalty": float("inf")}]
)
def test_settings_out_of_range_are_refused(settings: dict):
    with pytest.raises(ConfigError, match="at least 0"):
        make_agent(**settings)
