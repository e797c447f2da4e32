"""Laws of PCB insertion: what the scene has to agree on, and how exact SERL wants it."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs.tasks.pcb_insertion import PCB
from robotkit import spatial
from tests.envs.cells import made
from tests.envs.insertion_envs import insertion_env


@pytest.fixture(scope="module")
def env():
    env = insertion_env("mujoco-pcb-insertion", PCB)
    yield env
    env.close()


def test_gymnasium_finds_nothing_to_complain_about(env):
    check_env(env, skip_render_check=True)


def test_task_and_scene_agree_on_the_geometry(env):
    np.testing.assert_allclose(PCB.socket_pose_in_base, env.workcell.world.scene.object_homes_in_base["board"])
    env.reset(seed=0, options={"tcp_pose": PCB.reset_pose_in_base})
    np.testing.assert_allclose(env.task.target, PCB.target_pose_in_base, atol=2e-3)


@pytest.mark.parametrize(
    ("off_m", "turn_rad", "is_in"),
    [
        ((0.0, 0.0, 0.0), 0.0, True),
        ((0.0025, -0.0025, 0.0009), 0.09, True),
        ((0.0, 0.0, 0.0015), 0.0, False),
        ((0.0, 0.0035, 0.0), 0.0, False),
        ((0.0, 0.0, 0.0), 0.12, False),
    ],
)
def test_success_is_a_millimetre_in_height_and_three_across(env, off_m, turn_rad, is_in):
    env.reset(seed=0)
    state = env.workcell.get_state()
    pose = spatial.integrate_delta(env.task.goal(state), np.array(off_m), np.array((0.0, 0.0, turn_rad)))
    part = state.poses["component"].model_copy(update={"pose_in_base": pose})
    assert env.task.evaluate(state.model_copy(update={"poses": state.poses | {"component": part}})).is_success == is_in


@pytest.mark.parametrize(
    ("name", "numbers", "images"),
    [
        ("PandaPCBInsertion-v0", 6, ()),
        ("PandaPCBInsertionVision-v0", 6, ("wrist_1", "wrist_2")),
        ("FrankaPCBInsert-Vision-v0", 7, ("wrist_1", "wrist_2")),
    ],
)
def test_every_id_starts_and_steps(name, numbers, images):
    with made(name) as env:
        observation, _ = env.reset(seed=0)
        assert tuple(observation.get("images", ())) == images
        assert env.step(np.zeros(numbers, np.float32))[0] in env.observation_space
