"""The scripted expert routes the cable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from envs.experts.cable_routing import operator
from envs.tasks.cable_routing import CABLE, CABLE_VISION
from tests.envs.insertion_envs import insertion_env, play

CELL = "mujoco-cable-routing"


def successes(seeds, config, **overrides):
    env = insertion_env(CELL, config, **overrides)
    played = [play(env, operator(env), seed)[0] for seed in seeds]
    env.close()
    return played


def test_it_succeeds_from_random_starts():
    assert all(successes(range(2), replace(CABLE_VISION, image_keys=())))


HARDER = {
    "as it is": (CABLE, {}),
    "a clip somewhere near": (replace(CABLE, socket_xy_m=0.02, socket_rz_rad=0.2), {}),
    "a softer cable": (CABLE, {"world.scene_options.stiffness_nm_rad": 0.15}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HARDER)
def test_it_succeeds_nine_times_out_of_ten(name):
    config, overrides = HARDER[name]
    assert np.mean(successes(range(100, 120), config, **overrides)) >= 0.9
