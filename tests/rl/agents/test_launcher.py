"""The launcher's factories make agents that act and learn, and buffers."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from rl.agents import launcher
from rl.data.memory_efficient_replay_buffer import MemoryEfficientReplayBuffer
from rl.data.replay_buffer import ReplayBuffer
from rl.errors import CheckpointError, ConfigError, SchemaMismatch
from rl.nn.flax_params import to_flax_params

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


class TwoArms(Scene):
    """As `Scene`, for two arms with a gripper each."""

    action_space = gym.spaces.Box(-1.0, 1.0, (2 * ACTION,))


def filled(buffer, size=12, scene=Scene, **extras):
    """The buffer with one short episode in it."""
    space, action = scene.observation_space, scene.action_space
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
                **extras,
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


@pytest.mark.parametrize(
    ("make", "scene"),
    [
        (launcher.make_sac_pixel_agent, Scene),
        (launcher.make_sac_pixel_agent_hybrid_single_arm, Scene),
        (launcher.make_sac_pixel_agent_hybrid_dual_arm, TwoArms),
    ],
)
def test_hil_serls_agents_have_its_settings_and_learn_from_its_buffer(make, scene):
    hybrid = make is not launcher.make_sac_pixel_agent
    buffer = launcher.make_replay_buffer(
        scene(),
        capacity=20,
        type="memory_efficient_replay_buffer",
        image_keys=("image",),
        include_grasp_penalty=hybrid,
    )
    filled(buffer, scene=scene, **({"grasp_penalty": -0.02} if hybrid else {}))
    observation, action = scene.observation_space.sample(), scene.action_space.sample()
    agent = make(0, observation, action, encoder_type="small", reward_bias=0.5, target_entropy=-2.0)
    config = agent.config
    assert (config.critic_ensemble_size, config.critic_subsample_size, config.discount) == (2, None, 0.97)
    assert (config.temperature_init, config.reward_bias, config.target_entropy) == (1e-2, 0.5, -2.0)
    batch = as_tensors(buffer.sample(4, pack_obs_and_next_obs=True))
    assert ("grasp_penalty" in batch) == hybrid
    metrics = agent.update_high_utd(batch, 2)
    assert all(torch.isfinite(value) for value in metrics.values())
    assert ("grasp_critic/grasp_critic_loss" in metrics) == hybrid
    assert agent.sample_actions(observation).shape == action.shape


def test_the_penalty_is_a_field_only_when_it_is_asked_for():
    buffer = launcher.make_replay_buffer(Scene(), capacity=4, include_grasp_penalty=True)
    with pytest.raises(SchemaMismatch, match="missing grasp_penalty"):
        filled(buffer)
    filled(buffer, grasp_penalty=-0.02)
    np.testing.assert_array_equal(buffer.sample(8)["grasp_penalty"], np.float32(-0.02))
    with pytest.raises(SchemaMismatch, match="unknown grasp_penalty"):
        filled(launcher.make_replay_buffer(Scene(), capacity=4), grasp_penalty=-0.02)


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
    with pytest.raises(CheckpointError, match="no weight file"):
        launcher.make_sac_pixel_agent(0, observation, action, pretrained_path=missing)
    with pytest.raises(ConfigError, match="needs its weights"):
        launcher.make_sac_pixel_agent_hybrid_single_arm(0, observation, action)
