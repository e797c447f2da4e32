"""Laws of the threaded vector environment."""

from __future__ import annotations

import threading

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import PassiveEnvChecker
from gymnasium.wrappers.vector import FlattenObservation, NormalizeObservation

from envs import ThreadVectorEnv, make_vec
from robotkit import InvalidConfiguration, make_workcell
from tests.envs.cells import FAKE, IDS, MUJOCO, flat, made
from tests.envs.scripted_env import ScriptedEnv


def row(batch, index):
    return {key: row(part, index) for key, part in batch.items()} if isinstance(batch, dict) else batch[index]


@pytest.mark.parametrize(("cell", "threads"), [(FAKE, 1), (FAKE, 3), (MUJOCO, 2)], ids=["fake-1", "fake-3", "mujoco-2"])
def test_a_vector_is_its_environments_side_by_side(cell, threads):
    count, steps = 5, 25
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, count, 4)).astype(np.float32)
    vector = make_vec(IDS[0], count, threads, max_episode_steps=10, **cell)
    first, _ = vector.reset(seed=7)
    results = [vector.step(action) for action in actions]
    assert first in vector.observation_space
    assert results[0][0] in vector.observation_space
    vector.close()
    for index in range(count):
        with made(IDS[0], max_episode_steps=10, **cell) as env:
            observation, _ = env.reset(seed=7 + index)
            assert np.array_equal(flat(row(first, index)), flat(observation))
            for step, (observations, rewards, terminations, truncations, infos) in enumerate(results):
                observation, reward, terminated, truncated, info = env.step(actions[step, index])
                assert (rewards[index], terminations[index], truncations[index]) == (reward, terminated, truncated)
                if truncated:
                    assert np.array_equal(flat(infos["final_obs"][index]), flat(observation))
                    assert infos["final_info"]["success"][index] == info["success"]
                    observation, info = env.reset()
                assert infos["success"][index] == info["success"]
                assert np.array_equal(flat(row(observations, index)), flat(observation))


def test_unless_told_otherwise_one_thread_steps_all_and_no_checker_looks_on():
    def checkers(vector):
        wrappers = []
        for env in vector.envs:
            while isinstance(env, gymnasium.Wrapper):
                wrappers, env = [*wrappers, env], env.env
        return sum(isinstance(wrapper, PassiveEnvChecker) for wrapper in wrappers)

    found = []
    for options in ({}, {"threads": 2, "disable_env_checker": False}):
        before = set(threading.enumerate())
        vector = make_vec(IDS[0], 2, **options, **FAKE)
        begun = [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("envs")]
        found.append((len(begun), checkers(vector)))
        vector.close()
    assert found == [(1, 0), (2, 2)]


def test_autoreset_is_declared_and_marks_only_what_ended():
    vector = ThreadVectorEnv([lambda: ScriptedEnv(3), lambda: ScriptedEnv(2, terminates=False)], threads=2)
    assert vector.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    vector.reset(seed=0)
    steps = [vector.step(np.zeros((2, 2), np.float32)) for _ in range(3)]
    vector.close()
    assert [step[2].tolist() for step in steps] == [[False, False], [False, False], [True, False]]
    assert [step[3].tolist() for step in steps] == [[False, False], [False, True], [False, False]]
    assert [step[0]["step"].ravel().tolist() for step in steps] == [[1, 1], [2, 0], [0, 1]]
    assert "final_obs" not in steps[0][4]
    assert steps[1][4]["_final_obs"].tolist() == [False, True]


def test_r12_a_reset_may_take_a_step_of_its_own_as_gymnasiums_wrappers_expect():
    makers = [lambda: ScriptedEnv(3), lambda: ScriptedEnv(2, terminates=False)]
    ours = ThreadVectorEnv(makers, 2, AutoresetMode.NEXT_STEP)
    theirs = SyncVectorEnv(makers, autoreset_mode=AutoresetMode.NEXT_STEP)
    assert ours.metadata["autoreset_mode"] == theirs.metadata["autoreset_mode"]
    for vector in (ours, theirs):
        vector.reset(seed=0)
    for _ in range(8):
        action = np.zeros((2, 2), np.float32)
        (mine, *rest, info), (other, *expected, told) = ours.step(action), theirs.step(action)
        np.testing.assert_array_equal(mine["step"], other["step"])
        np.testing.assert_array_equal(rest, expected)
        np.testing.assert_array_equal(info["success"], told["success"])
    ours.reset()
    assert ours.step(np.zeros((2, 2), np.float32))[0]["step"].ravel().tolist() == [1, 1]
    for vector in (ours, theirs):
        vector.close()
    with pytest.raises(InvalidConfiguration, match="SAME_STEP or NEXT_STEP"):
        ThreadVectorEnv(makers, 1, AutoresetMode.DISABLED)


class Jammed(ScriptedEnv):
    """Its resets fail while it is jammed."""

    is_jammed = False

    def reset(self, **kwargs):
        if self.is_jammed:
            raise RuntimeError("jammed")
        return super().reset(**kwargs)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_r12_an_environment_whose_reset_failed_is_reset_before_it_is_stepped(mode):
    vector = ThreadVectorEnv([lambda: Jammed(2)], 1, mode)
    action = np.zeros((1, 2), np.float32)
    vector.reset(seed=0)
    vector.step(action)
    vector.envs[0].is_jammed = True
    if mode == AutoresetMode.NEXT_STEP:
        assert vector.step(action)[2].tolist() == [True]
    for _ in range(3):
        with pytest.raises(RuntimeError, match="jammed"):
            vector.step(action)
    with pytest.raises(RuntimeError, match="jammed"):
        vector.reset()
    vector.envs[0].is_jammed = False
    observation, _, *ended, _ = vector.step(action)
    assert (observation["step"].ravel().tolist(), np.ravel(ended).tolist()) == ([0], [False, False])
    assert vector.step(action)[0]["step"].ravel().tolist() == [1]
    vector.close()


def test_r12_gymnasiums_normalisation_takes_a_vector_of_ours():
    vector = FlattenObservation(
        make_vec(IDS[0], 2, autoreset_mode=AutoresetMode.NEXT_STEP, max_episode_steps=3, **FAKE)
    )
    normal = NormalizeObservation(vector)
    normal.reset(seed=0)
    for _ in range(8):
        observations, *_, infos = normal.step(normal.action_space.sample())
        assert np.isfinite(observations).all()
        np.testing.assert_array_equal(infos["is_success"], infos["success"])
    normal.close()


def test_each_environment_lives_in_one_thread():
    class Homebody(ScriptedEnv):
        def __init__(self):
            super().__init__()
            self.threads = {threading.get_ident()}

        def reset(self, **kwargs):
            self.threads.add(threading.get_ident())
            return super().reset(**kwargs)

        def step(self, action):
            self.threads.add(threading.get_ident())
            return super().step(action)

        def close(self):
            self.threads.add(threading.get_ident())

    vector = ThreadVectorEnv([Homebody] * 4, threads=2)
    vector.reset(seed=[1, None, 3, 4])
    for _ in range(8):
        vector.step(np.zeros((4, 2), np.float32))
    vector.close()
    homes = [env.threads for env in vector.envs]
    assert [len(home) for home in homes] == [1] * 4
    assert len(set.union(*homes)) == 2
    assert threading.get_ident() not in set.union(*homes)


def test_closing_ends_the_threads_and_may_be_repeated():
    before = set(threading.enumerate())
    vector = make_vec(IDS[0], 4, 2, **FAKE)
    vector.reset(seed=0)
    cells = [env.unwrapped.workcell for env in vector.envs]
    vector.close()
    vector.close()
    assert set(threading.enumerate()) <= before
    assert not any(cell.is_connected for cell in cells)


def test_an_error_in_one_environment_reaches_the_caller():
    class Broken(ScriptedEnv):
        def step(self, action):
            raise ZeroDivisionError("broken on purpose")

    vector = ThreadVectorEnv([ScriptedEnv, Broken], threads=2)
    vector.reset()
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        vector.step(np.zeros((2, 2), np.float32))
    vector.close()


def test_a_constructor_that_fails_leaves_no_thread_behind():
    before = set(threading.enumerate())
    with pytest.raises(gymnasium.error.NameNotFound):
        make_vec("PandaPickCylinder-v0", 2, 2)
    assert set(threading.enumerate()) <= before


def test_environments_cannot_share_a_built_cell():
    with pytest.raises(InvalidConfiguration, match="one cell"):
        make_vec(IDS[0], 2, cell=make_workcell("fake"))


def test_counts_that_do_not_fit_are_refused():
    with pytest.raises(InvalidConfiguration, match="0 environments"):
        ThreadVectorEnv([])
    with pytest.raises(InvalidConfiguration, match="0 threads"):
        ThreadVectorEnv([ScriptedEnv], threads=0)
    vector = ThreadVectorEnv([ScriptedEnv] * 2)
    with pytest.raises(InvalidConfiguration, match="seeds"):
        vector.reset(seed=[1])
    with pytest.raises(InvalidConfiguration, match="actions"):
        vector.step(np.zeros((3, 2)))
    vector.close()
