"""Laws of USB pick-up and insertion: what counts as success, where plug and port start, and how a real cell resets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import robotkit as rk
from envs.core import ManipulationEnv
from envs.experts.usb_pickup_insertion import usb_pickup_insertion
from envs.tasks.franka import franka_actions
from envs.tasks.usb_pickup_insertion import USB, USB_VISION, PickupInsertion
from robotkit import spatial
from robotkit.schema import SafetyLimits
from tests.envs.cells import made
from tests.envs.insertion_envs import play

CELL = "mujoco-usb-pickup-insertion"
STILL = (0.0, 0.0, 0.0)


def usb_env(config=USB, task=PickupInsertion, **overrides):
    workcell = rk.make_workcell(CELL, **overrides)
    return ManipulationEnv(workcell, task(config), franka_actions(config), owns_workcell=True)


@pytest.fixture(scope="module")
def env():
    env = usb_env()
    yield env
    env.close()


def state_with(env, off_m=STILL, turn_rad=STILL, opening=1.0):
    """The state with a plug that far from its goal and so wide a gripper."""
    state = env.workcell.get_state()
    pose = spatial.integrate_delta(env.task.goal(state), np.array(off_m), np.array(turn_rad))
    plug = state.poses["plug"].model_copy(update={"pose_in_base": pose})
    gripper = state.gripper.model_copy(update={"position": opening})
    return state.model_copy(update={"poses": state.poses | {"plug": plug}, "gripper": gripper})


def test_gymnasium_finds_nothing_to_complain_about(env):
    check_env(env, skip_render_check=True)


def test_task_and_scene_agree_on_the_geometry(env):
    homes = env.workcell.world.scene.object_homes_in_base
    np.testing.assert_allclose(USB.socket_pose_in_base, homes["port"])
    np.testing.assert_allclose(USB.part_pose_in_base, homes["plug"])
    env.reset(seed=0, options={"socket_pose": homes["port"]})
    np.testing.assert_allclose(env.task.target, USB.target_pose_in_base, atol=1e-9)


@pytest.mark.parametrize(
    ("off_m", "turn_rad", "opening", "is_success"),
    [
        pytest.param(STILL, STILL, 1.0, True, id="in and released"),
        pytest.param((0.0, 0.001, -0.002), (0.08, 0.0, 0.0), 0.5, True, id="sagging in the port"),
        pytest.param(STILL, STILL, 0.15, False, id="in and still held"),
        pytest.param((0.0, 0.003, 0.0), STILL, 1.0, False, id="three millimetres short"),
        pytest.param((0.004, 0.0, 0.0), STILL, 1.0, False, id="beside the port"),
        pytest.param(STILL, (0.0, 0.0, 0.2), 1.0, False, id="turned"),
    ],
)
def test_success_is_a_plug_in_its_port_that_the_gripper_has_released(env, off_m, turn_rad, opening, is_success):
    env.reset(seed=0)
    outcome = env.task.evaluate(state_with(env, off_m, turn_rad, opening))
    assert outcome[:3] == (float(is_success), is_success, is_success)


def test_a_seed_repeats_where_plug_and_tool_start_and_others_differ(env):
    def start(seed):
        env.reset(seed=seed)
        state = env.workcell.get_state()
        return np.concatenate((state.poses["plug"].pose_in_base, state.robot.tcp_pose_in_base))

    starts = [start(seed) for seed in (0, 1, 2)]
    assert len({one.tobytes() for one in starts}) == 3
    np.testing.assert_array_equal(start(0), starts[0])
    for one in starts:
        assert (np.abs(one[:2] - USB.part_pose_in_base[:2]) <= USB.part_xy_m + 1e-9).all()


def test_ways_to_grasp_and_goal_are_what_the_trackers_say(env):
    observation, _ = env.reset(seed=2)
    state, seen = env.workcell.get_state(), observation["state"]
    plug, tool = state.poses["plug"].pose_in_base, state.robot.tcp_pose_in_base
    grasp = spatial.integrate_delta(tool, seen["tcp_to_grasp"][:3], seen["tcp_to_grasp"][3:])
    np.testing.assert_allclose(grasp, spatial.compose(plug, np.array(USB.grasp_in_part)), atol=1e-6)
    there = spatial.integrate_delta(plug, seen["part_to_goal"][:3], seen["part_to_goal"][3:])
    np.testing.assert_allclose(there, env.task.goal(state), atol=1e-6)


def test_where_nothing_can_be_placed_a_reset_takes_the_plug_out_of_the_port_and_drops_it():
    class NothingIsPlaced(PickupInsertion):
        def object_poses(self, np_random, options):
            return None if "tcp_pose" in options else super().object_poses(np_random, options)

    env = usb_env(task=NothingIsPlaced)
    assert play(env, usb_pickup_insertion(env), 0)[0]
    _, info = env.reset(options={"tcp_pose": USB.reset_pose_in_base})
    state = env.workcell.get_state()
    assert not info["success"]
    assert state.gripper.target_position == 1.0
    np.testing.assert_allclose(state.poses["plug"].pose_in_base[:2], (0.5, 0.01), atol=0.01)
    assert state.poses["plug"].pose_in_base[2] == pytest.approx(USB.part_pose_in_base[2], abs=2e-3)
    env.close()


def test_a_cell_that_tracks_nothing_gives_no_reward():
    cell = rk.make_workcell("fake", trackers={}, limits=SafetyLimits())
    task = PickupInsertion(replace(USB_VISION, image_keys=()))
    task.require_devices(cell)
    cell.connect()
    assert task.evaluate(cell.get_state())[:3] == (0.0, False, False)
    cell.disconnect()
    with pytest.raises(rk.InvalidConfiguration, match="a tracker for 'plug' and a tracker for 'port'"):
        PickupInsertion(USB).require_devices(cell)


@pytest.mark.parametrize("options", [{"part_pose": (0.0,)}, {"plug": 0}])
def test_a_wrong_option_is_refused(env, options):
    with pytest.raises(rk.InvalidConfiguration, match=next(iter(options))):
        env.reset(options=options)


@pytest.mark.parametrize("name", ["PandaUSBPickupInsertion-v0", "PandaUSBPickupInsertionVision-v0"])
def test_every_id_starts_and_steps_and_a_closing_gripper_costs_a_penalty_beside_the_reward(name):
    with made(name) as env:
        observation, _ = env.reset(seed=0)
        assert observation in env.observation_space
        images = () if name == "PandaUSBPickupInsertion-v0" else ("side_policy", "wrist_1", "wrist_2")
        assert tuple(observation.get("images", ())) == images
        _, reward, _, _, info = env.step(np.array((0, 0, 0, 0, 0, 0, -1), np.float32))
        assert reward == 0.0
        assert info["grasp_penalty"] == -0.02
        assert env.spec.max_episode_steps == 120


def test_hil_serl_s_view_is_flat_and_begins_with_the_opening():
    with made("FrankaUSBPickRelative-Vision-v0") as env:
        observation, _ = env.reset(seed=0)
        assert observation in env.observation_space
        assert set(observation) == {"state", "side_policy", "wrist_1", "wrist_2"}
        assert observation["state"].shape == (19,)
        assert observation["state"][0] == pytest.approx(1.0, abs=0.02)
        assert env.action_space.shape == (7,)
