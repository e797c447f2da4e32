"""The learned reward's one command: every command line that it runs is one, and its experts go where they should."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from examples.learned_reward.__main__ import ENV, LearnedReward, commands
from examples.learned_reward.experts import carry, wander
from rl.cli.table import find_command, split_command


def test_each_command_takes_its_options_and_uses_what_the_one_before_made(tmp_path: Path):
    asked = LearnedReward(tmp_path / "all", steps=30)
    lines = list(commands(asked))
    for line in lines:
        name, words = split_command(line)
        find_command(name).parse(name, words)
    assert [line[0] for line in lines] == [*["record"] * 5, "classifier", "record", "train", "evaluate"]
    assert all(str(asked.out / "classifier") in line for line in lines[5:8])


def test_a_classifier_that_is_there_is_not_trained_again(tmp_path: Path):
    asked = LearnedReward(tmp_path / "all", reward_classifier=tmp_path / "mine")
    lines = list(commands(asked))
    assert [line[0] for line in lines] == ["record", "train", "evaluate"]
    assert all(str(tmp_path / "mine") in line for line in lines[:2])


@pytest.fixture(scope="module")
def env():
    with gym.make(ENV.replace("Vision", "")) as made:
        yield made


def heights_m(env, expert) -> np.ndarray:
    """Of tool and block (T, 2), over an episode."""
    observation, _ = env.reset(seed=2)
    expert.reset(observation)
    seen, ended = [], False
    while not ended:
        observation, *_, truncated, _ = env.step(expert.act(observation))
        state, ended = observation["state"], truncated
        seen.append((state["panda/tcp_pos"][2], state["block_pos"][2]))
    return np.array(seen)


def test_who_wanders_leaves_the_block_and_who_carries_takes_it_up_and_down(env):
    tool, block = heights_m(env, wander(env)).T
    assert np.ptp(tool) > 0.1
    assert np.ptp(block) < 0.02
    tool, block = heights_m(env, carry(env)).T
    assert block.max() > 0.1
    assert np.abs(np.diff(block[40:])).sum() > 0.2
    assert np.abs((tool - block)[40:]).max() < 0.04
