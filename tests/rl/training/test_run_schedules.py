"""L5: learning rates that decay do so over the whole run, whatever its length, and not over another one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rl import SAC, SacConfig
from rl.agents.continuous.sac_hybrid_config import SingleArmConfig
from rl.agents.continuous.sac_hybrid_single import SACAgentHybridSingleArm
from rl.agents.continuous.vice_config import ViceConfig
from rl.common.optimizer_config import OptimizerConfig
from rl.config import TrainConfig, load_config, save_config
from rl.errors import ConfigError
from rl.presets import PRESETS, make_preset
from rl.training.learner_parts import make_agent
from rl.training.run_schedules import decaying_with_run, with_run_length
from rl.utils.seeds import Seeds
from tests.rl.training.test_learner_parts import SPEC

DECAYS = OptimizerConfig(1e-3, cosine_decay_steps="run")
NETWORKS = SacConfig(2, None, hidden_dims=(8,), actor_optimizer=DECAYS, critic_optimizer=DECAYS)


def config(steps: int, **changes: object) -> TrainConfig:
    """A run of this many steps beside the 10 before its first update."""
    settings = TrainConfig(
        steps=steps + 10, training_starts=10, utd_ratio=3, env_steps_per_update=2, batch_size=8, compile=False
    )
    return replace(settings, agent=replace(NETWORKS, **changes))


@pytest.mark.parametrize("steps", [80, 160])
@pytest.mark.parametrize("selective", [True, False])
def test_l5_the_rates_are_0_at_the_end_of_the_run_and_half_at_its_half(steps: int, selective: bool):
    agent = make_agent(config(steps, selective_optimizer_steps=selective), SPEC, Seeds(0))
    shapes = {"observations": (3,), "next_observations": (3,), "actions": (2,), "rewards": (), "masks": ()}
    batch = {name: torch.rand(6, *shape) for name, shape in shapes.items()}
    updates = steps // 2
    for name in ("actor", "critic"):
        assert agent.state.learning_rates()[name] == pytest.approx(1e-3)
    for update in range(1, updates + 1):
        agent.update_high_utd(batch, 3)
        if update in (updates // 2, updates):
            for name in ("actor", "critic"):
                expected = 0.5e-3 if update < updates else 0.0
                assert float(agent.state.learning_rates()[name]) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("selective", [True, False])
@pytest.mark.parametrize("joint", [True, False])
def test_l5_so_are_those_of_a_hybrid_agent(selective: bool, joint: bool):
    changes = {"selective_optimizer_steps": selective, "joint_last_step": joint, "grasp_critic_optimizer": DECAYS}
    networks = SingleArmConfig(hidden_dims=(8,), actor_optimizer=DECAYS, critic_optimizer=DECAYS, **changes)
    agent = SACAgentHybridSingleArm.create_states(3, 2, with_run_length(config(40), networks))
    shapes = {"observations": (3,), "next_observations": (3,), "actions": (2,), "rewards": (), "masks": ()}
    batch = {name: torch.rand(6, *shape) for name, shape in (shapes | {"grasp_penalty": ()}).items()}
    for _ in range(20):
        before = {name: float(rate) for name, rate in agent.state.learning_rates().items()}
        agent.update_high_utd(batch, 3)
    after = agent.state.learning_rates()
    for name in ("actor", "critic", "grasp_critic"):
        assert before[name] > 1e-6
        assert float(after[name]) == pytest.approx(0.0, abs=1e-7)


def test_l5_the_classifier_of_vice_is_a_step_of_its_own_for_optimizers_that_step_together():
    for selective, steps in ((True, 20 * 3), (False, 20 * 5)):
        networks = ViceConfig(critic_optimizer=DECAYS, selective_optimizer_steps=selective)
        assert with_run_length(config(40), networks).critic_optimizer.cosine_decay_steps == steps


@pytest.mark.parametrize("name", PRESETS)
def test_l5_no_preset_holds_the_length_of_another_run(name: str):
    for steps in (7_000, 60_000):
        settings = replace(make_preset(name), steps=steps)
        for field in decaying_with_run(settings.agent):
            found = getattr(with_run_length(settings, settings.agent), field).cosine_decay_steps
            often = settings.utd_ratio if field == "critic_optimizer" else 1
            assert found == often * ((steps - settings.training_starts) // settings.env_steps_per_update)
        given = [getattr(settings.agent, name) for name in ("actor_optimizer", "critic_optimizer")]
        assert all(optimizer.cosine_decay_steps in (None, "run") for optimizer in given)


def test_l5_a_number_that_is_given_stays_and_so_does_the_word_on_disk(tmp_path):
    given = replace(NETWORKS, actor_optimizer=OptimizerConfig(1e-3, cosine_decay_steps=17))
    assert with_run_length(config(80), given).actor_optimizer.cosine_decay_steps == 17
    save_config(config(80), tmp_path / "config.json")
    assert load_config(tmp_path / "config.json") == config(80)


def test_l5_a_length_that_nobody_knows_is_asked_for():
    with pytest.raises(ConfigError, match=r"needs .*env_steps_per_update"):
        make_agent(replace(config(80), env_steps_per_update=None), SPEC, Seeds(0))
    with pytest.raises(ConfigError, match="again and again"):
        SAC("tests.support.tiny_env:FollowTarget-v0", NETWORKS)
    with pytest.raises(ConfigError, match="give a number"):
        make_agent(config(80), SPEC, Seeds(0)).__class__.create_states(3, 2, NETWORKS)
