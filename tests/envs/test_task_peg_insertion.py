"""Laws of insertion, shown on the peg: where it starts, where it belongs, and what decides on success."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from envs.tasks.insertion import Insertion
from envs.tasks.peg_insertion import PEG, PEG_VISION
from robotkit import InvalidConfiguration, Unsupported, make_workcell, spatial
from robotkit.schema import SafetyLimits
from tests.envs.insertion_envs import insertion_env

CELL = "mujoco-peg-insertion"
NOTHING = np.zeros(7, np.float32)


@pytest.fixture(scope="module")
def env():
    env = insertion_env(CELL, PEG)
    yield env
    env.close()


def cell_of(env):
    return env.workcell


def test_the_observed_way_leads_the_part_to_its_goal(env):
    observation, _ = env.reset(seed=3)
    state = cell_of(env).get_state()
    way = observation["state"]["part_to_goal"].astype(np.float64)
    arrived = spatial.integrate_delta(state.poses["peg"].pose_in_base, way[:3], way[3:])
    np.testing.assert_allclose(arrived[:3], env.task.goal(state)[:3], atol=1e-6)
    assert spatial.angle_between(arrived[3:], env.task.goal(state)[3:]) < 1e-5


def test_the_start_is_drawn_within_serls_ranges_and_the_socket_stays_at_home(env):
    poses = []
    for seed in range(6):
        observation, info = env.reset(seed=seed)
        assert not info["success"]
        poses.append(observation["state"]["tcp_pose"])
        np.testing.assert_allclose(cell_of(env).get_state().poses["socket"].pose_in_base, PEG.socket_pose_in_base)
    off = np.abs(np.array(poses)[:, :2] - PEG.reset_pose_in_base[:2])
    assert (off <= PEG.reset_xy_m + 1e-3).all()
    assert off.max() > 0.3 * PEG.reset_xy_m


def test_the_socket_goes_where_it_is_asked_for_and_the_goal_goes_with_it(env):
    pose = spatial.integrate_delta(np.array(PEG.socket_pose_in_base), np.array((0.01, -0.02, 0)), np.array((0, 0, 0.2)))
    env.reset(seed=0)
    before = env.task.goal(cell_of(env).get_state())
    env.reset(seed=0, options={"socket_pose": pose})
    after = env.task.goal(cell_of(env).get_state())
    np.testing.assert_allclose(after[:3] - before[:3], (0.01, -0.02, 0.0), atol=1e-9)
    assert spatial.angle_between(before[3:], after[3:]) == pytest.approx(0.2)
    with pytest.raises(InvalidConfiguration, match="socket_pose"):
        env.reset(options={"socket_pose": (1.0, 2.0)})


def test_a_random_socket_moves_with_the_seed():
    env = insertion_env(CELL, replace(PEG, socket_xy_m=0.02, socket_rz_rad=0.2))
    seen = []
    for seed in (1, 2, 1):
        env.reset(seed=seed)
        seen.append(cell_of(env).get_state().poses["socket"].pose_in_base)
    env.close()
    np.testing.assert_array_equal(seen[0], seen[2])
    assert np.abs(seen[0] - seen[1])[:2].max() > 1e-3


def test_a_lost_peg_is_no_success_even_where_the_tool_would_have_it():
    env = insertion_env(CELL, PEG)
    env.reset(seed=0)
    state = cell_of(env).get_state()
    arrived = replace_tool(state, np.array(PEG.target_pose_in_base))
    assert not env.task.evaluate(arrived).is_success, "the peg is still where it was"
    untracked = arrived.model_copy(update={"poses": {}})
    assert env.task.evaluate(untracked).is_success, "without trackers the tool decides, as on SERL's robot"
    env.close()


def replace_tool(state, pose):
    return state.model_copy(update={"robot": state.robot.model_copy(update={"tcp_pose_in_base": pose})})


def test_opening_the_gripper_drops_a_peg_that_only_friction_holds():
    with closing(insertion_env(CELL, PEG, **{"world.scene_options.grasp": "friction"})) as env:
        env.reset(seed=0)
        height_m = cell_of(env).get_state().poses["peg"].pose_in_base[2]
        for _ in range(10):
            env.step(np.append(NOTHING[:6], np.float32(1.0)))
        assert cell_of(env).get_state().poses["peg"].pose_in_base[2] < height_m - 0.05


def test_a_cell_without_trackers_takes_the_vision_task_and_not_the_state_task():
    bare = make_workcell("fake", trackers={}, limits=SafetyLimits())
    Insertion(replace(PEG_VISION, image_keys=())).require_devices(bare)
    with pytest.raises(InvalidConfiguration, match="a tracker for 'peg'"):
        Insertion(PEG).require_devices(bare)
    bare.connect()
    with pytest.raises(Unsupported, match="trackers for 'peg' and 'socket'"):
        Insertion(PEG_VISION).part_to_goal(bare.get_state())
    bare.disconnect()


def test_seven_numbers_push_with_no_more_than_stiffness_times_clip(env):
    env.reset(seed=0, options={"tcp_pose": (0.53, 0.0, 0.175, 1.0, 0.0, 0.0, 0.0)})
    push = np.array((0, 0, -1, 0, 0, 0, 0), np.float32)
    for _ in range(20):
        observation, *_ = env.step(push)
    assert 15.0 < np.linalg.norm(observation["state"]["tcp_force"]) < 25.0
