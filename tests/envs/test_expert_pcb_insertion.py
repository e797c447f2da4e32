"""The scripted expert inserts the component."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from envs.experts.pcb_insertion import operator
from envs.tasks.pcb_insertion import PCB, PCB_VISION
from tests.envs.insertion_envs import insertion_env, play

CELL = "mujoco-pcb-insertion"


def successes(seeds, config, **overrides):
    env = insertion_env(CELL, config, **overrides)
    played = [play(env, operator(env), seed)[0] for seed in seeds]
    env.close()
    return played


def test_it_succeeds_from_random_starts():
    assert all(successes(range(2), replace(PCB_VISION, image_keys=())))


HARDER = {
    "as it is": (PCB, {}),
    "a board somewhere near": (replace(PCB, socket_xy_m=0.01, socket_rz_rad=0.1), {}),
    "a gap of 0.3 mm": (PCB, {"world.scene_options.clearance_m": 0.0003}),
    "another friction and mass at each reset": (
        PCB, {"world.randomisation": {"friction": [0.5, 1.5], "mass": [0.5, 2.0]}},
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", HARDER)
def test_it_succeeds_nine_times_out_of_ten(name):
    config, overrides = HARDER[name]
    assert np.mean(successes(range(100, 120), config, **overrides)) >= 0.9
