"""Laws of VICE."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Generator

from rl.agents.continuous.drq import make_drq_modules, shape_pixel_modules
from rl.agents.continuous.vice import VICEAgent, ViceConfig, make_classifier
from rl.agents.continuous.vice_loss import input_gradients, smoothed_labels
from rl.common.encoders import frozen_trunk
from rl.common.optimizers import OptimizerConfig
from rl.errors import ConfigError, DataError
from rl.nn.layers import init_parameters, materialise
from tests.rl.agents.pixels import (
    ACTION,
    CAMERAS,
    FROZEN,
    SMALL,
    TRAINED,
    assert_same,
    make_batch,
    make_drq,
    moved,
    parameters,
    sample,
    tiny_encoder,
    tiny_trunk,
)

CONFIG = ViceConfig(
    **{field.name: getattr(SMALL, field.name) for field in dataclasses.fields(SMALL)},
    vice_hidden_dims=(8,),
    vice_bottleneck_dim=8,
    vice_optimizer=OptimizerConfig(1e-2),
)
KINDS = pytest.mark.parametrize("kind", [TRAINED, FROZEN])


def make_vice(kind=FROZEN, seed=0, config=CONFIG):
    encoder = tiny_encoder(kind, config)
    trunk = frozen_trunk(encoder) or tiny_trunk()
    modules = make_drq_modules(encoder, ACTION, config)
    modules["vice"] = make_classifier(trunk, config)
    shape_pixel_modules(modules, sample(), ACTION)
    materialise(modules["vice"], sample())
    init_parameters(modules, Generator().manual_seed(seed))
    return VICEAgent(modules, config, action_dim=ACTION, seed=seed, device=torch.device("cpu"))


def make_goal_batch(size, seed=0):
    """Dark failures, then bright successes."""
    batch = make_batch(size, seed)
    goal = torch.arange(size) >= size // 2
    for key in CAMERAS:
        image = batch["next_observations"][key] // 4
        batch["next_observations"][key] = torch.where(goal[:, None, None, None, None], image + 190, image)
    return batch


@KINDS
def test_the_classifier_learns_and_nothing_else_moves(kind):
    agent = make_vice(kind)
    before = parameters(agent.state.modules)
    batch = make_goal_batch(16)
    losses = [agent.update_vice(batch)["vice/bce_loss"].item() for _ in range(60)]
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    assert {name.split(".")[0] for name in moved(before, agent.state.modules)} == {"vice"}
    reward = agent.vice_reward(batch["next_observations"])
    assert reward.shape == (16,)
    assert reward[:8].mean() + 0.03 < reward[8:].mean()


@KINDS
def test_rewards_of_a_batch_are_replaced_and_updates_are_kept(kind):
    agent = make_vice(kind)
    agent.update_vice(make_goal_batch(16))
    batch = make_goal_batch(8)
    before = parameters(agent.state.modules)
    metrics = agent.update_high_utd({**batch, "rewards": torch.full((8,), 1e9)}, 2)
    assert 0 <= metrics["vice_rewards"] <= 1
    assert metrics["critic/target_qs"].abs() < 1e3
    assert {name.split(".")[0] for name in moved(before, agent.state.modules)} == {"actor", "critic", "temperature"}
    before = parameters(agent.state.modules)
    agent.update_critics(batch)
    assert "critic" in {name.split(".")[0] for name in moved(before, agent.state.modules)}


def test_one_camera_may_be_enough_for_the_classifier():
    agent = make_vice(config=dataclasses.replace(CONFIG, vice_image_keys=("wrist",)))
    batch = make_goal_batch(8)
    agent.update_vice(batch)
    reward = agent.vice_reward(batch["next_observations"])
    other = {**batch["next_observations"], "front": torch.zeros_like(batch["next_observations"]["front"])}
    assert torch.equal(agent.vice_reward(other), reward)
    with pytest.raises(ConfigError, match=r"names \['side'\]"):
        dataclasses.replace(CONFIG, vice_image_keys=("side",))


def test_labels_are_smoothed_towards_a_half():
    torch.testing.assert_close(smoothed_labels(2, 0.2, torch.zeros(())), torch.tensor([0.9, 0.9, 0.1, 0.1]))


def test_input_gradients_are_those_of_each_sample_alone():
    agent = make_vice()
    maps = {
        key: agent.classifier(image, return_encoded=True)
        for key, image in make_batch(4)["next_observations"].items()
        if key in CAMERAS
    }
    keep = agent._classifier_masks()
    together = input_gradients(agent.classifier, maps, keep)
    alone = [input_gradients(agent.classifier, {k: m[i : i + 1] for k, m in maps.items()}, keep) for i in range(4)]
    assert together.shape[0] == 2 * 4
    for camera in range(2):
        expected = torch.stack([gradient[camera] for gradient in alone])
        torch.testing.assert_close(together[4 * camera : 4 * camera + 4], expected, rtol=1e-4, atol=1e-7)


def test_a_restored_agent_continues_exactly(tmp_path):
    agent = make_vice()
    agent.update_vice(make_goal_batch(8))
    torch.save(agent.state_dict(), tmp_path / "agent.pt")
    restored = make_vice(seed=9)
    restored.load_state_dict(torch.load(tmp_path / "agent.pt", weights_only=True))
    for _ in range(2):
        assert_same(agent.update_vice(make_goal_batch(8)), restored.update_vice(make_goal_batch(8)))
        assert_same(agent.update_high_utd(make_batch(8), 2), restored.update_high_utd(make_batch(8), 2))
    assert not moved(parameters(agent.state.modules), restored.state.modules)


def test_apart_from_the_rewards_it_is_drq():
    vice, drq = make_vice(TRAINED), make_drq(TRAINED)
    drq.state.modules.load_state_dict(
        {name: value for name, value in vice.state.modules.state_dict().items() if not name.startswith("vice")}
    )
    drq.state.targets.load_state_dict(drq.state.modules.state_dict())
    batch, noise = make_batch(8), drq.draw_noise(8)
    crops = drq.draw_crops(batch)
    rewards = (vice.vice_reward(vice.augment(batch, crops)["next_observations"]) >= 0.5).float()
    expected = drq.update_critics({**batch, "rewards": rewards}, noise, crops)
    found = vice.update_critics(batch, noise, crops)
    assert_same({key: found[key] for key in expected}, expected)


@pytest.mark.parametrize("size", [1, 7])
def test_a_batch_without_two_halves_is_refused(size):
    with pytest.raises(DataError, match="no two halves"):
        make_vice().update_vice(make_batch(size))
