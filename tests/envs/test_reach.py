"""Laws of the reach task, which needs nothing but an arm."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs.registration import DUAL_TABLE, TABLE
from envs.tasks.reach import GOAL_MAX_M, GOAL_MIN_M, SUCCESS_M, SUCCESS_STEPS
from robotkit import InvalidConfiguration, make_workcell

ID = "envs:PandaReach-v0"
LAB = str(Path(__file__).parents[2] / "examples" / "cells" / "mujoco.toml")


@pytest.fixture
def env():
    built = gymnasium.make(ID, cell=LAB)
    yield built
    built.close()


def towards_goal(observation: dict) -> np.ndarray:
    """An action that brings the tool to the goal."""
    state = observation["state"]
    lead_m = 0.15 * state["tcp_vel"]
    return np.clip(25.0 * (state["to_goal"] - lead_m), -1.0, 1.0).astype(np.float32)


def goal_of(observation: dict) -> np.ndarray:
    return observation["state"]["tcp_pos"] + observation["state"]["to_goal"]


@pytest.mark.parametrize("cell", [LAB, "mujoco-pick-cube"])
def test_gymnasium_has_nothing_to_complain_of(cell):
    env = gymnasium.make(ID, cell=cell)
    check_env(env.unwrapped)
    env.close()


def test_an_arm_alone_is_enough():
    cell = make_workcell("mujoco-pick-cube", gripper=None, cameras={}, trackers={})
    env = gymnasium.make(ID, cell=cell)
    env.reset(seed=0)
    observation, _, _, _, info = env.step(np.zeros(3, np.float32))
    assert observation in env.observation_space
    assert "gripper_changed" not in info
    cell.disconnect()


def test_goals_fill_their_box(env):
    goals = np.array([goal_of(env.reset(seed=seed)[0]) for seed in range(60)])
    assert (goals >= np.array(GOAL_MIN_M) - 1e-6).all()
    assert (goals <= np.array(GOAL_MAX_M) + 1e-6).all()
    span = np.array(GOAL_MAX_M) - GOAL_MIN_M
    assert (np.ptp(goals, axis=0) > 0.85 * span).all()


def test_success_is_staying_there(env):
    observation, _ = env.reset(seed=1)
    there = 0
    for _ in range(40):
        observation, reward, terminated, truncated, info = env.step(towards_goal(observation))
        off_m = np.linalg.norm(observation["state"]["to_goal"])
        assert info["distance_m"] == pytest.approx(off_m, abs=1e-6)
        assert reward == pytest.approx(0.5 * (math.exp(-5 * off_m) + math.exp(-50 * off_m)), abs=1e-4)
        there = there + 1 if info["distance_m"] < SUCCESS_M else 0
        assert info["success"] == (there >= SUCCESS_STEPS)
        assert not terminated
    assert info["success"]
    assert truncated


def test_m22_a_miss_begins_the_count_anew(env):
    observation, _ = env.reset(seed=1)
    task, state = env.unwrapped.task, env.unwrapped.workcell.get_state()
    near_m = goal_of(observation).astype(np.float64)

    def is_success(position_m):
        pose = np.array((*position_m, 1.0, 0.0, 0.0, 0.0))
        robot = type(state.robot).unchecked(**{**state.robot.__dict__, "tcp_pose_in_base": pose})
        return task.evaluate(type(state).unchecked(**{**state.__dict__, "robot": robot})).is_success

    assert [is_success(near_m) for _ in range(SUCCESS_STEPS - 1)] == [False] * (SUCCESS_STEPS - 1)
    assert not is_success(near_m + 0.02)
    assert [is_success(near_m) for _ in range(SUCCESS_STEPS)] == [False] * (SUCCESS_STEPS - 1) + [True]


def test_a_goal_may_be_given_and_a_wrong_one_is_refused(env):
    observation, _ = env.reset(options={"goal_pos": (0.4, 0.1, 0.4)})
    np.testing.assert_allclose(goal_of(observation), (0.4, 0.1, 0.4), atol=1e-6)
    for options in ({"goal": (0.4, 0.1, 0.4)}, {"goal_pos": (0.4, 0.1)}, {"goal_pos": (0.4, 0.1, math.nan)}):
        with pytest.raises(InvalidConfiguration, match="goal_pos"):
            env.reset(options=options)


def test_a_cell_that_would_refuse_the_targets_is_refused_at_once():
    with pytest.raises(InvalidConfiguration, match=r"Reach asks for .* in cell"):
        gymnasium.make(ID, cell="mujoco-pick-cube", cell_overrides={"limits.workspace.position_max_m": [0.5, 0.3, 0.4]})


@pytest.mark.parametrize(
    ("limit", "value", "text"),
    [
        ("max_tcp_speed_m_s", 0.1, r"up to .* m/s \(allowed: 0\.1 m/s\)"),
        ("planes", [{"name": "shelf", "point_in_base_m": [0, 0, 0.5], "normal_in_base": [0, 0, 1]}], "plane 'shelf'"),
    ],
)
def test_b8_a_cell_too_slow_for_the_targets_or_with_a_plane_in_their_way_is_refused_at_once(limit, value, text):
    with pytest.raises(InvalidConfiguration, match=text):
        gymnasium.make(ID, cell="mujoco-pick-cube", cell_overrides={f"limits.{limit}": value})


def test_every_id_has_a_second_one_that_no_other_package_claims():
    ids = {*TABLE, *DUAL_TABLE}
    assert {f"robotkit/{name}" for name in ids} <= set(gymnasium.registry)
    with closing(gymnasium.make("envs:robotkit/PandaReach-v0")) as named:
        assert named.spec.max_episode_steps == gymnasium.spec("PandaReach-v0").max_episode_steps
