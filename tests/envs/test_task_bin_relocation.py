"""Laws of bin relocation: the two tasks and their graph, what counts as success, and the wall between the bins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import robotkit as rk
from envs.core import ManipulationEnv
from envs.tasks.bin_relocation import BIN, BIN_VISION, BinRelocation, bin_relocation_actions
from robotkit.schema import SafetyLimits
from tests.envs.cells import made

CELL = "mujoco-bin-relocation"
FREE = replace(BIN_VISION, image_keys=())


def bin_env(config=BIN):
    return ManipulationEnv(
        rk.make_workcell(CELL), BinRelocation(config), bin_relocation_actions(config), owns_workcell=True
    )


@pytest.fixture(scope="module")
def env():
    env = bin_env()
    yield env
    env.close()


def lying_in(number, z_m=0.015):
    return np.array((*BIN.bins_in_base[number], z_m, 0.0, 0.0, 0.0, 1.0))


def state_with(env, object_pose, is_grasping=False):
    state = env.workcell.get_state()
    poses = state.poses | {"object": state.poses["object"].model_copy(update={"pose_in_base": object_pose})}
    gripper = state.gripper.model_copy(update={"is_grasping": is_grasping})
    return state.model_copy(update={"poses": poses, "gripper": gripper})


def test_gymnasium_finds_nothing_to_complain_about(env):
    check_env(env, skip_render_check=True)


def test_task_and_scene_agree_on_the_geometry(env):
    homes = env.workcell.world.scene.object_homes_in_base
    for number, middle in enumerate(BIN.bins_in_base):
        np.testing.assert_allclose(homes[f"bin_{number}"][:2], middle)
    np.testing.assert_allclose(homes["object"], lying_in(0))


@pytest.mark.parametrize("task_id", [0, 1])
def test_success_is_the_object_in_the_other_bin_and_let_go(env, task_id):
    observation, info = env.reset(seed=0, options={"task_id": task_id})
    assert info["task_id"] == task_id
    assert not info["success"]
    np.testing.assert_allclose(observation["state"]["tcp_pose"][1], BIN.bins_in_base[task_id][1], atol=0.01)
    evaluate = env.task.evaluate
    assert evaluate(state_with(env, lying_in(1 - task_id))).is_success
    assert evaluate(state_with(env, lying_in(1 - task_id))).is_terminated
    assert not evaluate(state_with(env, lying_in(1 - task_id), is_grasping=True)).is_success
    assert not evaluate(state_with(env, lying_in(task_id))).is_success
    assert not evaluate(state_with(env, lying_in(1 - task_id, z_m=0.1))).is_success


@pytest.mark.parametrize("task_id", [0, 1])
def test_the_object_starts_inside_its_bin(env, task_id):
    for seed in range(4):
        env.reset(seed=seed, options={"task_id": task_id})
        assert env.task.bin_of(env.workcell.get_state()) == task_id


def test_without_resets_the_task_is_the_one_that_starts_where_the_object_is():
    env = bin_env(FREE)
    env.reset(seed=0)
    assert env.task.task_id == 0
    env.reset(options={"object_pose": lying_in(1), "task_id": 0})
    before = env.workcell.get_state().poses["object"].pose_in_base
    _, info = env.reset()
    assert info["task_id"] == 1
    np.testing.assert_allclose(env.workcell.get_state().poses["object"].pose_in_base, before, atol=1e-3)
    env.close()


def test_an_object_that_fell_out_of_the_bins_is_put_back():
    env = bin_env(FREE)
    outside = np.array((0.5, 0.3, 0.015, 0.0, 0.0, 0.0, 1.0))
    env.reset(seed=0, options={"object_pose": outside, "task_id": 1})
    assert env.task.bin_of(env.workcell.get_state()) is None
    _, info = env.reset()
    assert info["task_id"] == 1
    assert env.task.bin_of(env.workcell.get_state()) == 1
    env.close()


def test_a_reset_lets_go_of_the_object_before_it_moves():
    env = bin_env(FREE)
    env.reset(seed=0, options={"object_pose": lying_in(0), "tcp_pose": (*BIN.bins_in_base[0], 0.022, *BIN.start[3:])})
    for _ in range(8):
        env.step(np.array((0, 0, 0, 0, 0, 0, -1), np.float32))
    assert env.workcell.get_state().gripper.is_grasping
    env.reset()
    assert env.task.bin_of(env.workcell.get_state()) == 0
    assert env.workcell.get_state().gripper.target_position == 1.0
    env.close()


def test_the_commanded_tool_never_enters_the_box_around_the_inner_walls(env):
    env.reset(seed=1)
    rng = np.random.default_rng(0)
    low, high = np.array(BIN.keep_out_min_m), np.array(BIN.keep_out_max_m)
    for _ in range(60):
        action = rng.uniform(-1, 1, 7).astype(np.float32)
        # Down and across: without the box it would end between the bins.
        action[:3] = (action[0], -1.0, -1.0)
        target = env.action_map(action)[0].tcp_pose_in_base[:3]
        env.step(action)
        assert not ((target > low + 1e-9) & (target < high - 1e-9)).all()


def test_ways_to_object_and_goal_are_what_the_trackers_say(env):
    observation, _ = env.reset(seed=2)
    state = env.workcell.get_state()
    tool, thing = state.robot.tcp_pose_in_base, state.poses["object"].pose_in_base
    seen = observation["state"]
    np.testing.assert_allclose(tool[:3] + seen["tcp_to_object"][:3], thing[:3], atol=1e-6)
    np.testing.assert_allclose(thing[:3] + seen["object_to_goal"], lying_in(1)[:3], atol=1e-6)
    assert abs(seen["tcp_to_object"][3]) <= np.pi / 4


def test_a_cell_that_does_not_track_the_object_gives_no_reward():
    cell = rk.make_workcell("fake", trackers={}, limits=SafetyLimits())
    task = BinRelocation(FREE)
    task.require_devices(cell)
    cell.connect()
    assert task.evaluate(cell.get_state())[:3] == (0.0, False, False)
    cell.disconnect()
    with pytest.raises(rk.InvalidConfiguration, match="a tracker for 'object'"):
        BinRelocation(BIN).require_devices(cell)


@pytest.mark.parametrize("options", [{"task_id": 2}, {"object_pose": (0.0,)}, {"bin": 0}])
def test_a_wrong_option_is_refused(env, options):
    with pytest.raises(rk.InvalidConfiguration, match=next(iter(options))):
        env.reset(options=options)


@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("PandaBinRelocation-v0", ()),
        ("PandaBinRelocationVision-v0", ("front", "wrist_1")),
        ("FrankaBinRelocation-Vision-v0", ("front", "wrist_1")),
    ],
)
def test_every_id_starts_and_steps(name, images):
    with made(name) as env:
        observation, _ = env.reset(seed=0)
        assert observation in env.observation_space
        assert tuple(sorted(observation.get("images", ()))) == images
        _, reward, _, _, info = env.step(np.array((0, 0, 0, 0, 0, 0, -1), np.float32))
        is_serl = name.startswith("Franka")
        assert reward == pytest.approx(-0.1 if is_serl else 0.0)
        assert info["task_id"] == 0
