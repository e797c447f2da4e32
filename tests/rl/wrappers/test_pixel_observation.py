"""What a pixel agent gets to see: images by camera, the rest in one vector, frames stacked."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from rl.errors import ConfigError
from rl.wrappers.make_env import EnvAdapterConfig, adapt
from rl.wrappers.pixel_observation import ImagesConfig
from tests.support.tiny_pixels import SIDE, FollowLight


def seen(env=None, **options):
    return adapt(env or FollowLight(), EnvAdapterConfig(sees_images=True, **options))


def test_images_come_by_camera_and_the_rest_in_one_vector():
    plain, env = FollowLight(), seen()
    given, _ = plain.reset(seed=3)
    observation, _ = env.reset(seed=3)
    assert observation.keys() == {"front", "wrist", "state"}
    for camera in ("front", "wrist"):
        np.testing.assert_array_equal(observation[camera], given["images"][camera][None])
    np.testing.assert_array_equal(observation["state"], np.array([[0.0]], np.float32))
    assert env.observation_space.contains(observation)


def test_frames_are_stacked_oldest_first_and_the_first_one_is_repeated():
    plain, env = FollowLight(), seen(frame_stack=3)
    frames = [plain.reset(seed=3)[0]["images"]["front"]] * 3
    observation, _ = env.reset(seed=3)
    for _ in range(4):
        np.testing.assert_array_equal(observation["front"], np.stack(frames[-3:]))
        action = np.zeros(1, np.float32)
        frames.append(plain.step(action)[0]["images"]["front"])
        observation = env.step(action)[0]
    np.testing.assert_array_equal(observation["state"][:, 0], [2.0, 3.0, 4.0])


def test_fewer_images_than_states_may_be_stacked():
    whole, env = seen(frame_stack=3), seen(frame_stack=3, images=ImagesConfig(frames=1))
    for both in (whole, env):
        both.reset(seed=3)
    expected, observation = (both.step(np.zeros(1, np.float32))[0] for both in (whole, env))
    np.testing.assert_array_equal(observation["front"], expected["front"][-1:])
    np.testing.assert_array_equal(observation["state"], expected["state"])
    assert env.observation_space.contains(observation)


def test_shrunk_images_are_the_means_of_their_pixels():
    env = seen(images=ImagesConfig(size=SIDE // 2))
    observation, _ = env.reset(seed=3)
    given, _ = FollowLight().reset(seed=3)
    means = given["images"]["front"].reshape(SIDE // 2, 2, SIDE // 2, 2, 3).mean((1, 3))
    assert np.abs(observation["front"][0] - means).max() <= 1
    assert env.observation_space.contains(observation)


def test_only_the_cameras_asked_for_are_kept():
    env = seen(cameras=("wrist",))
    assert set(env.observation_space.spaces) == {"wrist", "state"}
    assert set(env.reset(seed=1)[0]) == {"wrist", "state"}


def test_an_observation_that_is_one_image_is_the_camera_image():
    bare = gym.wrappers.TransformObservation(
        FollowLight(), lambda found: found["images"]["front"], gym.spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)
    )
    assert set(seen(bare).reset(seed=1)[0]) == {"image"}


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"cameras": ("back",)}, "no back. Its cameras: front, wrist"),
        ({"images": ImagesConfig(frames=2)}, "between 1 and frame_stack=1, not 2"),
    ],
)
def test_what_cannot_be_seen_is_explained(options, answer):
    with pytest.raises(ConfigError, match=answer):
        seen(**options)


def test_an_environment_without_images_is_refused():
    with pytest.raises(ConfigError, match="Its cameras: none"):
        seen(FollowLight().env)
