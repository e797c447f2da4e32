"""Laws of the ids of two arms: what they show, who may take over, and which cells they stand in."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest

from envs.registration import DUAL_TABLE
from envs.wrappers import INTERVENE_ACTION
from robotkit import InvalidConfiguration, UnknownPlugin, make_workcell, teleops
from tests.envs.cells import made
from tests.serving import served

ID, PEG = "DualFrankaReachPose-v0", "DualFrankaPegInsertRelative-Vision-v0"
POLICY = np.linspace(-0.7, 0.7, 14).astype(np.float32)
REAL = """
name = "one arm"
clock = "real"
[robot]
type = "fake"
[gripper]
type = "fake"
"""


def test_the_policys_keys_are_hil_serls():
    """Cameras beside one flat state, whose entries stand in alphabetical order: all of the left arm's come first."""
    with made(PEG) as env:
        observation, _ = env.reset(seed=0)
        shapes = {name: value.shape for name, value in observation.items()}
        names = [f"{arm}/wrist_{number}" for arm in ("left", "right") for number in (1, 2)]
        assert shapes == {"state": (38,), **dict.fromkeys(names, (128, 128, 3))}
        assert env.action_space.shape == (14,)
        for half in np.split(observation["state"], 2):
            assert np.allclose(half[4:10], 0.0, atol=1e-6), "gripper 1, force 3, then the pose: it counts from here"


def test_the_script_has_a_hand_on_each_arm_and_solves_it():
    with made(PEG, human="expert") as env:
        env.reset(seed=1000)
        infos = []
        for _ in range(60):
            *_, reward, terminated, _, info = env.step(POLICY)
            infos.append(info)
            if terminated:
                break
    assert (reward, info["success"], info["left/success"], info["right/success"]) == (1.0, True, True, True)
    told = np.array([info[INTERVENE_ACTION] for info in infos])
    assert told.shape == (len(infos), 14)
    assert not np.isclose(told[:5], POLICY).all(axis=0).any()


def test_two_arms_that_must_both_be_done_get_nothing_for_one():
    with made(PEG, human=("expert", None)) as env:
        env.reset(seed=1000)
        ends = [env.step(np.zeros(14, np.float32)) for _ in range(40)]
    assert ends[-1][4]["left/success"]
    assert [step[1] for step in ends] == [0.0] * 40
    assert not any(step[2] for step in ends)


@pytest.mark.parametrize("human", ["fake,none", ("fake", None), (None, "fake")], ids=str)
def test_devices_are_named_for_each_arm(human):
    with made(ID, cell="fake", human=human) as env:
        env.reset(seed=0)
        info = env.step(POLICY)[4]
        hands = [f"{arm}/teleop_buttons" in info for arm in ("left", "right")]
    assert hands == ([False, True] if human == (None, "fake") else [True, False])


def test_two_devices_of_a_kind_are_given_as_they_are():
    hands = teleops.make("fake", None), teleops.make("fake", None)
    with made(ID, cell="fake", human=hands) as env:
        env.reset(seed=0)
        hands[1].steer(np.array((0.5, 0, 0, 0, 0, 0)))
        told = env.step(POLICY)[4][INTERVENE_ACTION]
    assert np.array_equal(told[:7], POLICY[:7])
    assert np.allclose(told[7:], (0.5, 0, 0, 0, 0, 0, 0))


@pytest.mark.parametrize("human", ["fake", "fake,fake", "fake,none,none"])
def test_one_hand_cannot_steer_two_arms(human):
    with pytest.raises(InvalidConfiguration, match="left"):
        gymnasium.make(ID, cell="fake", human=human)


def test_one_built_hand_cannot_either():
    with pytest.raises(InvalidConfiguration, match="one device"):
        gymnasium.make(ID, cell="fake", human=teleops.make("fake", None))


def test_each_arm_has_a_cell_of_its_own():
    with make_workcell("fake") as left, made(ID, cell=(left, "mujoco-pick-cube")) as env:
        env.reset(seed=0)
        assert [arm.unwrapped.workcell.name for arm in env.unwrapped.arms.values()] == ["fake", "mujoco-pick-cube"]
        assert env.unwrapped.arms["left"].unwrapped.workcell is left
        env.close()
        assert left.is_connected, "what was given belongs to who gave it"


def test_cells_are_named_in_one_string_too():
    with made(ID, cell="fake,mujoco-pick-cube") as env:
        assert [arm.unwrapped.workcell.name for arm in env.unwrapped.arms.values()] == ["fake", "mujoco-pick-cube"]


def test_one_arm_here_and_one_behind_a_socket():
    """Two bodies of one contract: a pair with a remote arm does what a pair without does."""
    with served(make_workcell("fake")) as url:
        mixed, local = gymnasium.make(ID, cell=("fake", url)), gymnasium.make(ID, cell="fake")
        for env in (mixed, local):
            env.reset(seed=1)
        for action in np.random.default_rng(0).uniform(-1, 1, (5, 14)).astype(np.float32):
            there, here = (env.step(action)[0]["state"] for env in (mixed, local))
            assert all(np.allclose(there[key], here[key], atol=1e-6) for key in here)
        with pytest.raises(InvalidConfiguration, match="a workcell each"):
            gymnasium.make(ID, cell=url)
        mixed.close()
        local.close()


def test_real_devices_are_not_built_twice(tmp_path: Path):
    path = tmp_path / "arm.toml"
    path.write_text(REAL)
    with pytest.raises(InvalidConfiguration, match="a cell for each"):
        gymnasium.make(ID, cell=str(path))
    with make_workcell("fake") as cell:
        for shared in (cell, (cell, cell)):
            with pytest.raises(InvalidConfiguration, match="a workcell each"):
                gymnasium.make(ID, cell=shared)


def test_three_cells_are_one_too_many():
    with pytest.raises(InvalidConfiguration, match="left and right: got 3"):
        gymnasium.make(ID, cell="fake,fake,fake")
    with pytest.raises(UnknownPlugin):
        gymnasium.make(ID, cell="fake,nowhere")


@pytest.mark.parametrize("name", DUAL_TABLE)
def test_an_episode_lasts_as_long_as_the_longer_arms(name):
    row = DUAL_TABLE[name]
    steps = [single.max_episode_steps for single in (row.left, row.right)]
    assert gymnasium.spec(name).max_episode_steps == max(steps)
