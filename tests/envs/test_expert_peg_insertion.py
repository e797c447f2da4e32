"""The scripted expert inserts the peg."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from envs.experts.insertion import InsertionExpert, InsertionStrategy
from envs.experts.peg_insertion import STRATEGY, operator
from envs.tasks.peg_insertion import PEG, PEG_VISION
from robotkit import InvalidConfiguration
from tests.envs.cells import made
from tests.envs.insertion_envs import insertion_env, play

CELL = "mujoco-peg-insertion"
BLIND = replace(PEG_VISION, image_keys=())


def successes(seeds, config=PEG, **overrides):
    env = insertion_env(CELL, config, **overrides)
    expert = InsertionExpert(config, STRATEGY, size=7)
    played = [play(env, expert, seed) for seed in seeds]
    env.close()
    assert all(total == float(success) for success, total, _ in played), "the reward is sparse"
    return [success for success, _, _ in played]


def test_it_succeeds_from_random_starts():
    assert all(successes(range(3)))


def test_it_needs_no_observation_of_the_goal_where_it_may_ask_the_trackers():
    env = insertion_env(CELL, BLIND)
    assert play(env, operator(env), 4)[0]
    env.close()


def test_a_script_without_alignment_fails():
    """The task is not solved by pushing down."""
    careless = InsertionStrategy(depth_m=STRATEGY.depth_m, gain=0.0, aligned_m=1.0, aligned_rad=4.0, search_m=0.0)
    env = insertion_env(CELL, PEG)
    assert not play(env, InsertionExpert(PEG, careless, size=7), 1, steps=40)[0]
    env.close()


def test_it_belongs_to_insertion_tasks():
    with made() as env, pytest.raises(InvalidConfiguration, match="insertion task"):
        operator(env)


HARDER = {
    "as it is": (PEG, {}),
    "a peg 1 cm beside its hole's home": (replace(PEG, socket_xy_m=0.01, socket_rz_rad=0.1), {}),
    "a round peg": (PEG, {"world.scene_options.shape": "round"}),
    "a gap of 0.2 mm": (PEG, {"world.scene_options.clearance_m": 0.0002}),
    "another friction, mass and grip at each reset": (
        PEG, {"world.randomisation": {"friction": [0.5, 1.5], "mass": [0.5, 2.0], "grip_m": 0.002}},
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", HARDER)
def test_it_succeeds_nine_times_out_of_ten(name):
    config, overrides = HARDER[name]
    assert np.mean(successes(range(100, 120), config, **overrides)) >= 0.9
