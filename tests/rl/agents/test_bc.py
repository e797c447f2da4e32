"""Laws of behaviour cloning."""

import dataclasses

import numpy as np
import pytest
import torch

from rl.agents.continuous.bc import BCAgent, BcConfig, make_bc_module
from rl.common.encoders import EncoderConfig
from rl.common.optimizers import OptimizerConfig
from rl.nn.layers import materialise
from tests.rl.agents.pixels import (
    ACTION,
    CAMERAS,
    FROZEN,
    SMALL,
    TRAINED,
    assert_same,
    make_batch,
    moved,
    observation,
    parameters,
    sample,
    tiny_encoder,
)

CONFIG = BcConfig(encoder=SMALL.encoder, hidden_dims=(16, 16), optimizer=OptimizerConfig(3e-3))


def make_bc(kind=TRAINED, seed=0, config=CONFIG):
    generator = torch.Generator().manual_seed(seed)
    module = materialise(make_bc_module(tiny_encoder(kind, SMALL), ACTION, config), sample(), generator=generator)
    return BCAgent(module, config, seed=seed, device=torch.device("cpu"))


@pytest.mark.parametrize("config", [CONFIG, CONFIG.as_in_serl()])
def test_image_encoders_train_except_in_serl_mode(config):
    agent = make_bc(config=config)
    before = parameters(agent.encoder)
    agent.update(make_batch(8))
    parts = {name.split(".")[0] for name in moved(before, agent.encoder)}
    assert parts == {"proprio", "proprio_norm"} | ({"encoder"} if config.trains_image_encoder else set())


def test_a_frozen_trunk_stays_and_its_heads_train():
    agent = make_bc(FROZEN)
    before = parameters(agent.encoder)
    agent.update(make_batch(8))
    changed = moved(before, agent.encoder)
    assert not {name for name in changed if "pretrained_encoder" in name}
    assert {name for name in changed if "embeddings" in name}


def test_the_loss_is_the_mean_negative_log_likelihood():
    agent = make_bc(config=dataclasses.replace(CONFIG, tanh_squash_distribution=True))
    batch = make_batch(8)
    distribution = agent.modules["actor"](batch["observations"])
    metrics = agent.get_debug_metrics(batch)
    torch.testing.assert_close(metrics["log_probs"], distribution.log_prob(batch["actions"]).detach())
    torch.testing.assert_close(metrics["pi_actions"], torch.tanh(distribution.loc).detach())
    torch.testing.assert_close(metrics["mse"], (metrics["pi_actions"] - batch["actions"]).square().sum(-1))


@pytest.mark.parametrize("squash", [True, False])
def test_cloning_recovers_what_the_images_say(squash):
    agent = make_bc(config=dataclasses.replace(CONFIG, tanh_squash_distribution=squash))
    batch = make_batch(32)
    bright = torch.arange(32) % 2 == 0
    level = torch.where(bright, 220, 20).to(torch.uint8)[:, None, None, None, None]
    for key in CAMERAS:
        batch["observations"][key] = level.expand(-1, 2, 20, 20, 3).contiguous()
    batch["actions"] = torch.where(bright, 0.5, -0.5)[:, None].expand(-1, ACTION).contiguous()
    for _ in range(80):
        agent.update(batch)
    actions = agent.sample_actions({key: x.numpy() for key, x in batch["observations"].items()}, argmax=True)
    assert np.abs(actions - batch["actions"].numpy()).max() < 0.2


def test_packed_and_unpacked_batches_train_alike():
    one, other = make_bc(), make_bc()
    packed = make_batch(6, packed=True)
    alone = {key: value[:, :2] for key, value in packed["observations"].items()}
    assert_same(one.update(packed), other.update({"observations": alone, "actions": packed["actions"]}))


@pytest.mark.parametrize("padding", [0, 4])
def test_a_restored_agent_continues_exactly(tmp_path, padding):
    config = dataclasses.replace(CONFIG, crop_padding=padding)
    agent = make_bc(config=config)
    agent.update(make_batch(8))
    agent.sample_actions(observation())
    torch.save(agent.state_dict(), tmp_path / "agent.pt")
    restored = make_bc(seed=9, config=config)
    restored.load_state_dict(torch.load(tmp_path / "agent.pt", weights_only=True))
    for seed in range(3):
        assert_same(agent.update(make_batch(8, seed)), restored.update(make_batch(8, seed)))
    assert not moved(parameters(agent.modules), restored.modules)
    np.testing.assert_array_equal(agent.sample_actions(observation()), restored.sample_actions(observation()))


def test_temperature_scales_the_spread_of_actions():
    agent = make_bc()
    few = {key: np.repeat(value[None], 400, 0) for key, value in observation().items()}
    wide, narrow = (agent.sample_actions(few, temperature=t).std(0) for t in (4.0, 1.0))
    np.testing.assert_allclose(wide / narrow, 2.0, rtol=0.2)


def test_an_agent_from_the_launcher_s_encoder_acts():
    scene = {key: np.repeat(np.repeat(x, 2, 1), 2, 2) if x.ndim == 4 else x for key, x in observation().items()}
    config = dataclasses.replace(CONFIG, encoder=EncoderConfig(image_keys=CAMERAS, bottleneck_dim=8))
    one, other = (BCAgent.create(scene, ACTION, config, seed=4) for _ in range(2))
    action = one.sample_actions(scene)
    assert action.shape == (ACTION,)
    np.testing.assert_array_equal(action, other.sample_actions(scene))
