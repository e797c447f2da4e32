"""Laws of the egg flip: what counts as done or lost, which numbers move the pan, and a script that throws."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs.experts.egg_flip import EggFlipExpert, egg_flip
from envs.tasks.egg_flip import EGG, EggFlip
from envs.wrappers import INTERVENE_ACTION, ActionAxes
from robotkit import InvalidConfiguration, make_workcell, spatial
from tests.envs.cells import flat, made
from tests.envs.pose_env import PoseEnv

ID, VISION = "PandaEggFlip-v0", "FrankaEggFlip-Vision-v0"
IN_PAN = (0.18, 0.0, 0.004)


def play(env, expert, seed):
    observation, _ = env.reset(seed=seed)
    expert.reset(observation)
    for _ in range(100):
        observation, reward, terminated, _, info = env.step(expert.act(observation))
        if terminated:
            break
    return info["success"], reward


@pytest.fixture(scope="module")
def state():
    """A measurement of the cell, whose egg the tests put elsewhere."""
    with make_workcell("mujoco-egg-flip") as cell:
        yield cell.reset(0)


def with_egg(state, place_m, turn):
    """The state with the egg at a place in the pan, turned by a rotation vector."""
    here = spatial.make_pose(np.array(place_m), spatial.quaternion_from_rotation_vector(np.array(turn)))
    poses = dict(state.poses)
    egg_pose = spatial.compose(poses["pan"].pose_in_base, here)
    poses["egg"] = poses["egg"].model_copy(update={"pose_in_base": egg_pose})
    return state.model_copy(update={"poses": poses})


@pytest.mark.parametrize(
    ("place_m", "turn", "is_success", "is_over"),
    [
        (IN_PAN, (0.0, 0.0, 0.0), False, False),
        (IN_PAN, (0.0, np.pi, 0.0), True, True),
        (IN_PAN, (-np.pi, 0.0, 0.0), True, True),
        (IN_PAN, (0.0, 0.0, np.pi), False, False),
        (IN_PAN, (0.0, np.radians(145.0), 0.0), False, False),
        ((0.18, 0.0, 0.024), (0.0, np.pi, 0.0), False, False),
        ((0.38, 0.0, 0.004), (0.0, np.pi, 0.0), False, False),
        ((0.38, 0.0, -0.196), (0.0, np.pi, 0.0), False, True),
    ],
    ids=["as it was", "over y", "over x", "about the vertical", "145 degrees", "in the air", "beside", "lost"],
)
def test_it_is_done_when_the_egg_lies_turned_over_in_the_pan(state, place_m, turn, is_success, is_over):
    task = EggFlip(EGG)
    task.begin(state, np.random.default_rng(0), {})
    outcome = task.evaluate(with_egg(state, place_m, turn))
    assert (outcome.reward, outcome.is_success, outcome.is_terminated) == (float(is_success), is_success, is_over)


def test_the_side_that_was_up_at_the_start_counts(state):
    task, turned = EggFlip(EGG), with_egg(state, IN_PAN, (0.0, np.pi, 0.0))
    task.begin(turned, np.random.default_rng(0), {})
    assert not task.evaluate(turned).is_success
    assert task.evaluate(state).is_success


def test_a_cell_that_tracks_nothing_pays_nothing(state):
    outcome = EggFlip(EGG).evaluate(state.model_copy(update={"poses": {}}))
    assert (outcome.reward, outcome.is_success, outcome.is_terminated) == (0.0, False, False)


def test_a_seed_repeats_an_episode_and_another_places_the_egg_elsewhere():
    actions = np.random.default_rng(0).uniform(-1, 1, (8, 3)).astype(np.float32)
    with made(ID) as env:

        def run(seed):
            return [flat(env.reset(seed=seed)[0]), *(flat(env.step(action)[0]) for action in actions)]

        first, other, again = run(0), run(1), run(0)
    assert np.array_equal(first, again)
    assert np.abs(first[0] - other[0]).max() > 0.005


def test_three_numbers_move_the_pan_along_x_along_z_and_about_y_and_nothing_else():
    with made(ID) as env:
        start = env.reset(seed=0)[0]["state"]["tcp_pose"]
        for _ in range(4):
            end = env.step(np.array((0.5, 0.5, 0.5), np.float32))[0]["state"]["tcp_pose"]
    turn = spatial.rotation_vector_between(*(pose[3:].astype(np.float64) for pose in (start, end)))
    moved = np.append(end[:3] - start[:3], turn)
    assert (moved[[0, 2, 4]] > 0.02).all()
    assert np.abs(moved[[1, 3, 5]]).max() < 0.005


def test_a_hand_that_steers_across_moves_the_pan_in_its_plane_only():
    with made(ID, human="fake") as env:
        env.reset(seed=0)
        hand = env.get_wrapper_attr("_teleop")
        hand.steer(np.array((0.3, 0.9, 0.2, 0.5, 0.1, 0.5)))
        for _ in range(4):
            observation, *_, info = env.step(np.zeros(3, np.float32))
        assert np.abs(observation["state"]["tcp_pose"][1]) < 0.002
        assert info[INTERVENE_ACTION].shape == (3,)
        assert info[INTERVENE_ACTION][0] > 0.0


@pytest.mark.parametrize("axes", [(), (0, 0), (7,), (-1,)], ids=str)
def test_axes_that_are_none_are_refused(axes):
    with pytest.raises(InvalidConfiguration, match="different places from 0 to 6"):
        ActionAxes(PoseEnv(), axes)


def test_the_policys_keys_are_hil_serls():
    with made(VISION) as env:
        observation, _ = env.reset(seed=0)
        shapes = {name: value.shape for name, value in observation.items()}
        assert env.action_space.shape == (3,)
    assert shapes == {"state": (26,), "wrist_1": (128, 128, 3), "side": (128, 128, 3)}


def test_gymnasiums_checker_finds_no_fault():
    env = gymnasium.make(ID).unwrapped
    check_env(env, skip_render_check=True)
    env.close()


def test_the_script_throws_and_catches_and_belongs_to_this_task():
    with made(ID) as env:
        assert play(env, egg_flip(env), 0) == (True, 1.0)
    with made() as env, pytest.raises(InvalidConfiguration, match="egg flip"):
        EggFlipExpert(env)


@pytest.mark.slow
def test_the_script_succeeds_three_times_out_of_four():
    with made(ID) as env:
        expert = egg_flip(env)
        successes = [play(env, expert, seed)[0] for seed in range(100, 120)]
    assert np.mean(successes) >= 0.75
