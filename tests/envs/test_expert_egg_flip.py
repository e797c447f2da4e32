"""What the script of the egg flip does next, by where the egg lies in the pan."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from envs.experts.egg_flip import EggFlipExpert
from tests.envs.cells import made
from tests.envs.test_task_egg_flip import ID

AXES = [0, 2, 4]


@pytest.mark.parametrize("is_whole", [False, True], ids=["three numbers", "six numbers"])
def test_it_tilts_until_the_egg_lies_at_the_back_throws_once_comes_back_and_begins_anew(is_whole: bool):
    with made(ID) as env:
        expert = EggFlipExpert(env.unwrapped if is_whole else env)
    strategy, config = expert.strategy, expert._task.config
    egg_m = [strategy.back_m + 0.01]
    expert._workcell = SimpleNamespace(get_state=lambda: None)
    expert._task = SimpleNamespace(config=config, egg_in_pan=lambda state: np.array((egg_m[0], 0.0, 0.0)))

    def act(count: int) -> np.ndarray:
        actions = np.array([expert.act(None) for _ in range(count)])
        assert actions.dtype == np.float32
        assert np.abs(actions).max() <= 1.0
        if is_whole:
            assert actions.shape == (count, 6)
            assert not np.delete(actions, AXES, axis=1).any()
            actions = actions[:, AXES]
        return actions

    scale = np.array((config.translation_scale_m, config.translation_scale_m, config.rotation_scale_rad))
    for _ in range(2):
        expert.reset(None)
        for _ in range(2):
            egg_m[0] = strategy.back_m + 0.01
            waiting = act(strategy.settle_steps + 5)
            assert np.abs(waiting).max() <= strategy.speed
            np.testing.assert_allclose(waiting.sum(axis=0) * scale, (0.0, 0.0, -strategy.tilt_rad), atol=1e-3)
            egg_m[0] = strategy.back_m - 0.01
            thrown = act(len(strategy.throw))
            np.testing.assert_array_equal(thrown, np.float32(strategy.throw))
            egg_m[0] = strategy.back_m + 0.01  # wherever it is now: a throw takes its course
            returning = act(strategy.return_steps + 1)
            assert np.abs(returning).max() <= strategy.speed
            low, high = expert._low, expert._high
            sent = np.array((0.0, 0.0, -strategy.tilt_rad))
            for move in thrown:
                sent = np.clip(sent + move * scale, low, high)
            np.testing.assert_allclose(sent + returning.sum(axis=0) * scale, 0.0, atol=1e-2)


def test_the_way_from_the_start_that_it_counts_on_ends_at_the_workspace():
    with made(ID) as env:
        expert = EggFlipExpert(env)
    config = expert._task.config
    start = config.start
    for number, axis in enumerate((0, 2)):
        assert start[axis] + expert._low[number] == pytest.approx(config.workspace.position_min_m[axis])
        assert start[axis] + expert._high[number] == pytest.approx(config.workspace.position_max_m[axis])
    assert expert._low[2] == config.workspace.rotation_vector_min_rad[1]
    assert expert._high[2] == config.workspace.rotation_vector_max_rad[1]
