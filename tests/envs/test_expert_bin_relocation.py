"""The scripted expert carries the object to the other bin, and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from envs.experts.bin_relocation import BinRelocationExpert, bin_relocation
from envs.tasks.bin_relocation import BIN, BIN_VISION
from robotkit import InvalidConfiguration
from tests.envs.cells import made
from tests.envs.insertion_envs import play
from tests.envs.test_task_bin_relocation import bin_env


def test_it_succeeds_in_both_directions():
    env = bin_env()
    expert = BinRelocationExpert(BIN)
    for task_id in (0, 1):
        success, total, _ = play(env, expert, task_id, options={"task_id": task_id})
        assert success
        assert total == 1.0
    env.close()


def test_it_goes_to_and_fro_without_resets_and_sees_through_the_trackers():
    env = bin_env(replace(BIN_VISION, image_keys=()))
    tasks = []
    for seed in (0, None):
        assert play(env, bin_relocation(env), seed)[0]
        tasks.append(env.task.task_id)
    env.close()
    assert tasks == [0, 1]


def test_it_belongs_to_bin_relocation():
    with made() as env, pytest.raises(InvalidConfiguration, match="bin relocation"):
        bin_relocation(env)


@pytest.mark.slow
def test_it_succeeds_nine_times_out_of_ten():
    env = bin_env()
    expert = BinRelocationExpert(BIN)
    successes = [play(env, expert, seed, options={"task_id": seed % 2})[0] for seed in range(100, 120)]
    env.close()
    assert np.mean(successes) >= 0.9
