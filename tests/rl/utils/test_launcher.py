"""The launcher's factories make agents that act and learn, and buffers."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from rl.data.memory_efficient_replay_buffer import MemoryEfficientReplayBuffer
from rl.data.replay_buffer import ReplayBuffer
from rl.errors import CheckpointError, ConfigError
from rl.utils import launcher
from rl.utils.flax_params import to_flax_params

SIDE, STATE, ACTION = 32, 5, 3


class Scene(gym.Env):
    """Spaces alone."""

    observation_space = gym.spaces.Dict(
        {
            "state": gym.spaces.Box(-1.0, 1.0, (1, STATE)),
            "image": gym.spaces.Box(0, 255, (1, SIDE, SIDE, 3), np.uint8),
        }
    )
    action_space = gym.spaces.Box(-1.0, 1.0, (ACTION,))


def filled(buffer, size=12):
    """The buffer with one short episode in it."""
    space, action = Scene.observation_space, Scene.action_space
    observation = space.sample()
    for index in range(size):
        following = space.sample()
        buffer.insert(
            {
                "observations": observation,
                "actions": action.sample(),
                "next_observations": following,
                "rewards": float(index == size - 1),
                "masks": float(index < size - 1),
                "dones": float(index == size - 1),
            }
        )
        observation = following
    return buffer


def as_tensors(tree):
    return {key: as_tensors(x) if isinstance(x, dict) else torch.from_numpy(x.copy()) for key, x in tree.items()}


@pytest.mark.parametrize("make", [launcher.make_drq_agent, launcher.make_bc_agent])
def test_a_pixel_agent_learns_from_packed_samples_of_the_memory_efficient_buffer(make):
    buffer = launcher.make_replay_buffer(
        Scene(), capacity=20, type="memory_efficient_replay_buffer", image_keys=("image",)
    )
    assert isinstance(buffer, MemoryEfficientReplayBuffer)
    observation, action = Scene.observation_space.sample(), Scene.action_space.sample()
    agent = make(0, observation, action)
    batch = as_tensors(filled(buffer).sample(4, pack_obs_and_next_obs=True))
    metrics = agent.update(batch) if make is launcher.make_bc_agent else agent.update_high_utd(batch, 2)
    assert all(torch.isfinite(value) for value in metrics.values())
    assert agent.sample_actions(observation).shape == (ACTION,)


def test_vice_is_made_for_an_encoder_without_a_trunk():
    observation, action = Scene.observation_space.sample(), Scene.action_space.sample()
    agent = launcher.make_vice_agent(0, observation, action)
    batch = as_tensors(filled(launcher.make_replay_buffer(Scene(), capacity=20)).sample(4))
    metrics = agent.update_vice(batch) | agent.update_critics(batch)
    assert all(torch.isfinite(value) for value in metrics.values())
    paths = to_flax_params(agent.state.modules)
    assert "modules_vice/pretrained_encoder/conv_init/kernel" in paths


def test_sac_and_its_buffer():
    agent = launcher.make_sac_agent(0, np.zeros(STATE), np.zeros(ACTION))
    assert agent.sample_actions(np.zeros(STATE)).shape == (ACTION,)
    assert isinstance(launcher.make_replay_buffer(Scene(), capacity=4), ReplayBuffer)


def test_wrong_names_and_weights_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="no replay buffer is named 'ring'"):
        launcher.make_replay_buffer(Scene(), capacity=4, type="ring")
    observation, action = Scene.observation_space.sample(), Scene.action_space.sample()
    missing = str(tmp_path / "resnet10.safetensors")
    with pytest.raises(CheckpointError, match="no weight file"):
        launcher.make_drq_agent(0, observation, action, encoder_type="resnet-pretrained", pretrained_path=missing)
