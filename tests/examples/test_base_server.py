"""The parts of the servers of base policies that need no LeRobot; tests/end_to_end runs the server of our own runs."""

from __future__ import annotations

import argparse
import threading
from contextlib import closing

import gymnasium as gym
import numpy as np
import pytest

from examples.base_server.__main__ import as_observation
from examples.base_server.lerobot_server import parse_names, renamed
from examples.base_server.protocol import PolicyServer, one_at_a_time
from rl.link.policy_client import PolicyClient
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


def test_raw_images_of_two_cameras_are_no_message_too_large():
    images = {f"images/{name}": np.full((480, 640, 3), 7, np.uint8) for name in ("front", "wrist")}
    server = PolicyServer(lambda: lambda sent: sent["images/wrist"][:1, 0].astype(np.float32), {"policy": "mean"})
    with server.listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        with closing(PolicyClient(f"ws://127.0.0.1:{listening.socket.getsockname()[1]}")) as client:
            client.connect(60.0)
            np.testing.assert_array_equal(client.infer(images, 3, 60.0), np.full((1, 3), 7.0))
        listening.shutdown()
        thread.join()


def test_an_episode_that_was_given_up_takes_nothing_from_the_chunk_of_the_next_one():
    chunk: list[float] = []

    def begin():
        chunk[:] = [1.0, 2.0, 3.0]
        return lambda sent: np.array([[chunk.pop(0)]])

    episodes = one_at_a_time(begin)
    first = episodes()
    assert first({}) == 1.0
    second = episodes()
    assert second({}) == 1.0
    with pytest.raises(RuntimeError, match="another episode has begun"):
        first({})
    assert second({}) == 2.0


def test_the_protocol_needs_no_library_that_lerobot_lacks():
    heavy = {"torch", "gymnasium", "pydantic", "tyro", "rich"}
    assert not modules_after("import examples.base_server.lerobot_server") & heavy
