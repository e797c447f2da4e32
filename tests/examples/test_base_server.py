"""The parts of the servers of base policies that need no LeRobot; tests/end_to_end runs the server of our own runs."""

from __future__ import annotations

import argparse

import gymnasium as gym
import numpy as np
import pytest

from examples.base_server.__main__ import as_observation
from examples.base_server.lerobot_server import parse_names, renamed
from rl.wrappers.served_base import served_observation
from tests.test_architecture import modules_after

SPACE = gym.spaces.Dict(
    {
        "state": gym.spaces.Dict({"tcp_pos": gym.spaces.Box(-1, 1, (3,)), "gripper": gym.spaces.Box(0, 1, (1,))}),
        "images": gym.spaces.Dict({"front": gym.spaces.Box(0, 255, (4, 4, 3), np.uint8)}),
    }
)


@pytest.mark.parametrize("space", [SPACE, gym.spaces.Box(-1, 1, (3,))], ids=["dict", "array"])
def test_what_was_sent_is_the_observation_again(space):
    observation = space.sample()
    found = as_observation(served_observation(observation), space)
    assert space.contains(found)
    np.testing.assert_equal(found, observation)


def test_arrays_become_the_inputs_that_a_policy_of_lerobot_knows():
    words = ["state/gripper=observation.state", "state/tcp_pos=observation.state", "images/front=observation.images.up"]
    observation = SPACE.sample()
    inputs = renamed(served_observation(observation, "lift"), parse_names(words))
    state = observation["state"]
    np.testing.assert_array_equal(inputs["observation.state"], np.concatenate((state["gripper"], state["tcp_pos"])))
    np.testing.assert_array_equal(inputs["observation.images.up"], observation["images"]["front"])
    assert inputs["observation.state"].dtype == np.float32


@pytest.mark.parametrize("word", ["state", "=observation.state", "state="])
def test_a_name_without_its_input_is_refused(word):
    with pytest.raises(argparse.ArgumentTypeError, match="no ARRAY=INPUT"):
        parse_names([word])


def test_an_array_that_is_not_there_is_named():
    with pytest.raises(KeyError, match="the observation has state, and no images/front: see --names"):
        renamed({"state": np.ones(3)}, {"observation.image": ["images/front"]})


def test_the_protocol_needs_no_library_that_lerobot_lacks():
    heavy = {"torch", "gymnasium", "pydantic", "tyro", "rich"}
    assert not modules_after("import examples.base_server.lerobot_server") & heavy
