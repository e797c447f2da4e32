"""The scripted expert grasps the plug, puts it into the port and lets go, also where the task is harder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from envs.experts.usb_pickup_insertion import PickupInsertionExpert, PickupStrategy, usb_pickup_insertion
from envs.tasks.usb_pickup_insertion import USB
from robotkit import InvalidConfiguration
from tests.envs.cells import made
from tests.envs.insertion_envs import play
from tests.envs.test_task_usb_pickup_insertion import usb_env

HARDER = {
    "a plug": ({}, {}),
    "a plug farther off": ({"part_xy_m": 0.015, "part_rz_rad": 0.25}, {}),
    "a port somewhere near": ({"socket_xy_m": 0.005, "socket_rz_rad": 0.05}, {}),
    "a gap of 0.2 mm": ({}, {"world.scene_options.clearance_m": 0.0002}),
    "a plug of random friction and mass": ({}, {"world.randomisation": {"friction": [0.7, 1.5], "mass": [0.5, 2.0]}}),
}


def test_it_succeeds_from_its_observations_and_from_the_trackers_alone():
    env = usb_env()
    assert play(env, PickupInsertionExpert(USB), 0, steps=60)[:2] == (True, 1.0)
    env.close()
    env = usb_env(replace(USB, observes_goal=False))
    assert play(env, usb_pickup_insertion(env), 1, steps=60)[:2] == (True, 1.0)
    env.close()


def test_it_fetches_a_plug_that_it_has_lost():
    env = usb_env()
    observation, _ = env.reset(seed=3)
    expert = PickupInsertionExpert(USB)
    expert.reset(observation)
    steps_lost = 0
    for _ in range(90):
        action = expert.act(observation)
        lifted_m = env.workcell.get_state().poses["plug"].pose_in_base[2] - USB.part_pose_in_base[2]
        if steps_lost < 8 and (steps_lost or lifted_m > 0.01):
            action[:], steps_lost = (0, 0, 1, 0, 0, 0, 1), steps_lost + 1
        observation, reward, terminated, _, _ = env.step(action)
        if terminated:
            break
    env.close()
    assert steps_lost == 8
    assert reward == 1.0


def test_a_script_that_never_aligns_the_plug_fails():
    """The task is not solved by grasping and pushing."""
    careless = replace(PickupStrategy().insertion, gain=0.0, aligned_m=1.0, aligned_rad=4.0, search_m=0.0)
    env = usb_env()
    assert not play(env, PickupInsertionExpert(USB, PickupStrategy(careless)), 1, steps=60)[0]
    env.close()


def test_it_belongs_to_usb_pick_up_and_insertion():
    with made() as env, pytest.raises(InvalidConfiguration, match="USB pick-up and insertion"):
        usb_pickup_insertion(env)


@pytest.mark.slow
@pytest.mark.parametrize("name", HARDER)
def test_it_succeeds_nine_times_out_of_ten(name):
    changes, overrides = HARDER[name]
    env = usb_env(replace(USB, **changes), **overrides)
    successes = [play(env, PickupInsertionExpert(USB), seed, steps=120)[0] for seed in range(100, 120)]
    env.close()
    assert np.mean(successes) >= 0.9
