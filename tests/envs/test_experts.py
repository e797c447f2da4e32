"""The scripted expert solves its task."""

from __future__ import annotations

import numpy as np

from envs.experts.pick_cube import PickCubeExpert, PickCubeStrategy
from tests.envs.cells import made


def run(expert, env, seed):
    observation, info = env.reset(seed=seed)
    expert.reset(observation)
    total, truncated = 0.0, False
    while not truncated:
        action = expert.act(observation)
        assert action in env.action_space
        observation, reward, _, truncated, info = env.step(action)
        total += float(reward)
    return total, info["success"]


def test_the_expert_succeeds_every_time_with_one_instance_for_all_episodes():
    expert = PickCubeExpert()
    with made() as env:
        returns, successes = zip(*(run(expert, env, seed) for seed in range(10)), strict=True)
    assert all(successes)
    assert np.mean(returns) >= 60.0


def test_a_slower_expert_succeeds_too_and_earns_less():
    with made() as env:
        slow, success = run(PickCubeExpert(PickCubeStrategy(speed=0.3)), env, 0)
        fast, _ = run(PickCubeExpert(), env, 0)
    assert success
    assert slow < fast


def test_doing_nothing_is_no_success():
    with made() as env:
        env.reset(seed=0)
        infos = [env.step(np.zeros(4, np.float32))[4] for _ in range(20)]
    assert not any(info["success"] for info in infos)
