"""Laws of `ManipulationEnv` that hold in every cell."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from envs.registration import make_env
from robotkit import InvalidCommand, InvalidConfiguration, Unsupported, make_workcell
from tests.envs.cells import FAKE, IDS, MUJOCO, flat, made, random_actions

CELLS = [pytest.param(FAKE, id="fake"), pytest.param(MUJOCO, id="mujoco")]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("id", IDS)
def test_gymnasium_has_nothing_to_complain_of(id, cell):
    env = gymnasium.make(id, **cell)
    check_env(env.unwrapped)
    env.close()


def test_the_id_brings_its_module():
    gymnasium.make("envs:PandaPickCube-v0", cell="fake").close()


@pytest.mark.parametrize("cell", CELLS)
def test_a_seed_fixes_an_episode_to_the_last_bit(cell):
    def episode(seed):
        with made(**cell) as env:
            first, _ = env.reset(seed=seed)
            steps = [env.step(action) for action in random_actions(30)]
            again, _ = env.reset()
        return np.array([flat(first), *(flat(step[0]) for step in steps), flat(again)]), [step[1] for step in steps]

    (states, rewards), (same_states, same_rewards), (others, _) = episode(3), episode(3), episode(4)
    assert np.array_equal(states, same_states)
    assert rewards == same_rewards
    assert not np.array_equal(states[0], others[0])
    assert not np.array_equal(states[0], states[-1]), "a reset without a seed must go on drawing"


def test_chance_comes_from_the_env_alone():
    with made(**FAKE) as env:
        first, _ = env.reset(seed=0)
        np.random.seed(99)
        again, _ = env.reset(seed=0)
    assert np.array_equal(flat(first), flat(again))


def test_two_envs_do_not_touch_each_other():
    def rollout(env):
        return np.array([flat(env.reset(seed=1)[0]), *(flat(env.step(action)[0]) for action in random_actions(20))])

    with made() as env, made() as other:
        alone = rollout(env)
        other.reset(seed=2)
        interleaved = [flat(env.reset(seed=1)[0])]
        for action in random_actions(20):
            other.step(-action)
            interleaved.append(flat(env.step(action)[0]))
    assert np.array_equal(alone, interleaved)


def test_the_time_limit_truncates_and_never_terminates():
    with made(**FAKE) as env:
        env.reset(seed=0)
        ends = [env.step(np.zeros(4, np.float32))[2:4] for _ in range(100)]
    assert ends == [(False, False)] * 99 + [(False, True)]


def test_blocks_are_drawn_over_the_whole_sampling_box():
    with made(**FAKE) as env:
        blocks = np.array([env.reset(seed=seed)[0]["state"]["block_pos"] for seed in range(200)])
    low, high = (0.25, -0.25), (0.55, 0.25)
    assert (blocks[:, :2] >= low).all()
    assert (blocks[:, :2] <= high).all()
    assert np.allclose(blocks[:, :2].min(0), low, atol=0.03)
    assert np.allclose(blocks[:, :2].max(0), high, atol=0.03)


@pytest.mark.parametrize("cell", CELLS)
def test_the_block_lies_where_the_options_say(cell):
    with made(**cell) as env:
        observation, _ = env.reset(options={"block_xy": (0.31, -0.12)})
    assert np.allclose(observation["state"]["block_pos"], (0.31, -0.12, 0.02), atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"block_yx": (0.3, 0.1)}, {"block_xy": (0.3,)}, {"block_xy": (0.3, float("nan"))}], ids=str
)
def test_bad_reset_options_are_refused(options):
    with made(**FAKE) as env, pytest.raises(InvalidConfiguration, match="block_xy"):
        env.reset(options=options)


@pytest.mark.parametrize(
    "action",
    [np.array((0.0, np.nan, 0.0, 0.0)), np.array((np.inf, 0.0, 0.0, 0.0)), np.zeros(3), np.zeros((1, 4))],
    ids=["nan", "inf", "short", "nested"],
)
def test_bad_actions_are_refused_and_move_nothing(action):
    with made(**FAKE, disable_env_checker=True) as env:
        env.reset(seed=0)
        before = env.unwrapped.workcell.get_state()
        with pytest.raises(InvalidCommand):
            env.step(action)
        assert env.unwrapped.workcell.get_state() == before


def test_stepping_before_reset_says_so():
    env = make_env(IDS[0], **FAKE)
    with pytest.raises(ResetNeeded):
        env.step(np.zeros(4))


def test_images_are_fresh_copies_of_the_wanted_shape():
    overrides = {**FAKE["cell_overrides"], "cameras.front.width_px": 320, "cameras.front.height_px": 240}
    with made(IDS[1], cell="fake", cell_overrides=overrides) as env:
        observation, _ = env.reset(seed=0)
        later = env.step(np.zeros(4, np.float32))[0]
        assert observation in env.observation_space
    assert set(observation["images"]) == {"front", "wrist"}
    assert "block_pos" not in observation["state"]
    assert all(image.shape == (128, 128, 3) for image in observation["images"].values())
    assert not np.shares_memory(observation["images"]["wrist"], later["images"]["wrist"])
    # The fake camera's columns count upwards: what is left is the square in the middle.
    columns = observation["images"]["front"][64, :, 0].astype(int)
    assert abs(columns[0] - 40) <= 2
    assert (np.diff(columns[:100]) > 0).all()


@pytest.mark.parametrize(
    ("cell", "camera", "size_px"), [(FAKE, "front", 128), (MUJOCO, "overview", 512)], ids=lambda value: ""
)
def test_rendering_shows_the_overview_or_the_front_camera(cell, camera, size_px):
    with made(**cell, render_mode="rgb_array") as env:
        env.reset(seed=0)
        assert env.render().shape == (size_px, size_px, 3)
        core = env.unwrapped
        assert core.task.camera_to_render(core.workcell) == camera
        core.task.render_camera = "wrist"
        assert core.task.camera_to_render(core.workcell) == "wrist", "a task may choose"


def test_an_unknown_render_mode_is_refused():
    with pytest.raises(InvalidConfiguration, match="human"):
        make_env(IDS[0], **FAKE, render_mode="human")


def test_only_its_own_cell_is_disconnected():
    with make_workcell("fake") as cell:
        with made(cell=cell) as env:
            env.reset(seed=0)
            assert env.spec.kwargs["cell"] is cell
        assert cell.is_connected
    with made(**FAKE) as env:
        env.reset(seed=0)
        own = env.unwrapped.workcell
        assert own.is_connected
    assert not own.is_connected


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"cell": make_workcell("fake"), "cell_overrides": {"clock": "real"}}, "built workcell"),
        ({"cell": "fake", "token": "secret"}, "token"),
        ({"cell": "fake", "render_mode": "ansi"}, "ansi"),
    ],
    ids=lambda value: "",
)
def test_contradicting_arguments_are_refused(kwargs, words):
    with pytest.raises(InvalidConfiguration, match=words):
        make_env(IDS[0], **kwargs)


def test_a_cell_that_lacks_devices_is_refused_with_their_names():
    cell = make_workcell("fake", trackers={}, cameras={}, gripper=None)
    with pytest.raises(InvalidConfiguration, match=r"'block'.*'front'.*'wrist'.*gripper"):
        make_env(IDS[1], cell=cell)


def test_where_objects_cannot_be_placed_the_block_is_taken_as_it_lies():
    cell = make_workcell("fake", clock="real", world=None, trackers={
        "block": {"type": "fake", "pose_in_base": [0.4, 0.1, 0.05, 0.0, 0.0, 0.0, 1.0]}})  # fmt: skip
    with cell:
        cell.gripper.close()
        env = make_env(IDS[0], cell=cell)
        observation, _ = env.reset(seed=0)
        assert np.allclose(observation["state"]["block_pos"], (0.4, 0.1, 0.05))
        assert observation["state"]["panda/gripper_pos"] == 0.0, "the gripper starts open"
        with pytest.raises(Unsupported, match="block"):
            env.reset(options={"block_xy": (0.3, 0.0)})
