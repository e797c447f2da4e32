"""Laws of cable routing: what the scene has to agree on, and when a cable counts as routed."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs.tasks.cable_routing import CABLE
from robotkit import spatial
from tests.envs.cells import made
from tests.envs.insertion_envs import insertion_env


@pytest.fixture(scope="module")
def env():
    env = insertion_env("mujoco-cable-routing", CABLE)
    yield env
    env.close()


def test_gymnasium_finds_nothing_to_complain_about(env):
    check_env(env, skip_render_check=True)


def test_task_and_scene_agree_on_the_geometry(env):
    np.testing.assert_allclose(CABLE.socket_pose_in_base, env.workcell.world.scene.object_homes_in_base["clip"])
    env.reset(seed=0, options={"tcp_pose": CABLE.reset_pose_in_base})
    # Between the fingers and the link that is tracked, the cable bends by a few millimetres.
    np.testing.assert_allclose(env.task.target[:3], CABLE.target_pose_in_base[:3], atol=8e-3)


@pytest.mark.parametrize(
    ("off_m", "turn_rad", "is_in"),
    [
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), True),
        ((0.005, 0.0, 0.004), (2.5, 0.0, 0.0), True),
        ((0.0, 0.0, 0.01), (0.0, 0.0, 0.0), False),
        ((0.0, 0.02, 0.0), (0.0, 0.0, 0.0), False),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.4), False),
    ],
)
def test_a_cable_on_top_of_the_clip_is_not_routed_and_its_twist_does_not_matter(env, off_m, turn_rad, is_in):
    env.reset(seed=0)
    state = env.workcell.get_state()
    pose = spatial.integrate_delta(env.task.goal(state), np.array(off_m), np.array(turn_rad))
    part = state.poses["cable"].model_copy(update={"pose_in_base": pose})
    assert env.task.evaluate(state.model_copy(update={"poses": state.poses | {"cable": part}})).is_success == is_in


@pytest.mark.parametrize(
    ("name", "numbers", "images"),
    [
        ("PandaCableRouting-v0", 6, ()),
        ("PandaCableRoutingVision-v0", 6, ("wrist_1", "wrist_2")),
        ("FrankaCableRoute-Vision-v0", 7, ("wrist_1", "wrist_2")),
    ],
)
def test_every_id_starts_and_steps(name, numbers, images):
    with made(name) as env:
        observation, _ = env.reset(seed=0)
        assert tuple(observation.get("images", ())) == images
        assert env.step(np.zeros(numbers, np.float32))[0] in env.observation_space
