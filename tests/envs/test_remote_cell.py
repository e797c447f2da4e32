"""The very same id, with the cell behind a robot server."""

from __future__ import annotations

import numpy as np
import pytest

from envs.experts.pick_cube import PickCubeExpert
from envs.registration import make_env
from robotkit import ConnectionFailed, make_workcell
from servers.app import create_app
from servers.runner import BackgroundServer
from servers.settings import ServerSettings
from tests.envs.cells import IDS, flat, made


@pytest.fixture
def url():
    with BackgroundServer(create_app(make_workcell("mujoco-pick-cube"), ServerSettings(port=0))) as server:
        yield server.url


def expert_episode(env):
    """States (n, 10), rewards and successes of one episode of the expert."""
    expert = PickCubeExpert()
    observation, _ = env.reset(seed=5)
    expert.reset(observation)
    states, rewards, successes = [flat(observation)], [], []
    for _ in range(50):
        observation, reward, _, _, info = env.step(expert.act(observation))
        states.append(flat(observation))
        rewards.append(reward)
        successes.append(info["success"])
    return np.array(states), np.array(rewards), successes


def test_a_remote_episode_equals_one_in_this_process(url):
    with made(cell=url) as env:
        states, rewards, successes = expert_episode(env)
    with made() as env:
        local_states, local_rewards, local_successes = expert_episode(env)
    np.testing.assert_allclose(states, local_states, rtol=0, atol=1e-9)
    np.testing.assert_allclose(rewards, local_rewards, rtol=0, atol=1e-9)
    assert successes == local_successes
    assert successes[-1]


def test_remote_images_equal_those_in_this_process(url):
    with made(IDS[1], cell=url) as env, made(IDS[1]) as local:
        for remote_image, image in zip(
            env.reset(seed=1)[0]["images"].values(), local.reset(seed=1)[0]["images"].values(), strict=True
        ):
            assert np.abs(remote_image.astype(int) - image).max() <= 1


def test_a_wrong_address_is_said_when_the_env_is_made():
    with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1:1"):
        make_env(IDS[0], cell="http://127.0.0.1:1")
