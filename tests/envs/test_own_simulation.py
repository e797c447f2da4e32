"""Laws of a simulation in its user's own process: what its own cell stops does not wait for a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import gymnasium as gym
import numpy as np
import pytest

import envs
import robotkit as rk
from envs.dual import DualArmEnv
from tests.serving import served

TIGHT = {"limits.measured_margin_m": 0.001}


def to_and_fro(rng: np.random.Generator, steps: int) -> Iterator[np.ndarray]:
    """Full actions towards corners of the box, in which each axis may turn back later than the others."""
    action = np.zeros(4, np.float32)
    while steps > 0:
        corner, late = rng.choice((-1.0, 1.0), 4), rng.integers(0, 8, 4)
        for age in range(min(int(rng.integers(5, 30)), steps)):
            action = np.where(age >= late, corner, action).astype(np.float32)
            steps -= 1
            yield action


def pick_cube(cell: rk.Workcell) -> envs.ManipulationEnv:
    return gym.make("envs:PandaPickCube-v0", cell=cell, disable_env_checker=True).unwrapped


@pytest.fixture
def env() -> Iterator[envs.ManipulationEnv]:
    with rk.make_workcell("mujoco-pick-cube", **TIGHT) as cell:
        made = pick_cube(cell)
        made.reset(seed=0)
        yield made


def overshoot(env: gym.Env, arms: int = 1) -> None:
    """Lead the arm to and fro until it is stopped: its law overshoots."""

    def swing() -> None:
        for action in to_and_fro(np.random.default_rng(0), 1000):
            env.step(np.tile(action, arms))

    with pytest.raises(rk.RobotStopped, match="outside the workspace box"):
        swing()


def test_a_stop_by_its_monitor_ends_without_a_person(env):
    overshoot(env)
    with pytest.raises(rk.RobotStopped):
        env.reset()
    assert "outside the workspace box" in env.recover_simulation()
    env.reset(seed=1)
    env.step(np.zeros(4, np.float32))


def test_a_failure_of_its_physics_ends_without_a_person(env):
    world = env.workcell.robot.inner.world
    world.data.qvel[2] = np.nan
    with pytest.raises(rk.DeviceFault):
        env.step(np.zeros(4, np.float32))
    assert env.recover_simulation()
    env.reset(seed=1)
    env.step(np.zeros(4, np.float32))


def stays_down(env: gym.Env) -> None:
    assert env.recover_simulation() is None
    with pytest.raises(rk.RobotkitError):
        env.reset()


def test_a_stop_by_anybody_else_stays(env):
    env.workcell.robot.stop()
    stays_down(env)


def test_a_stop_by_anybody_else_after_the_monitors_stays(env):
    overshoot(env)
    env.workcell.robot.stop_for("the door is open", "operator")
    stays_down(env)


def test_a_stop_of_before_the_monitors_stays(env):
    env.workcell.robot.stop_for("the door is open", "operator")
    env.workcell.robot.monitor_stops = env.workcell.robot.machine.stops
    stays_down(env)


def test_a_stop_by_anybody_else_stays_in_a_failure_of_the_physics(env):
    world = env.workcell.robot.inner.world
    world.data.qvel[2] = np.nan
    with pytest.raises(rk.DeviceFault):
        env.step(np.zeros(4, np.float32))
    env.workcell.robot.stop()
    stays_down(env)


def test_an_arm_that_goes_on_is_left_alone(env):
    recoveries = env.workcell.get_state().robot.recoveries
    assert env.recover_simulation() is None
    assert env.workcell.get_state().robot.recoveries == recoveries
    env.step(np.zeros(4, np.float32))


def test_a_fault_of_a_device_that_is_no_physics_stays():
    with rk.make_workcell("fake", clock="lockstep") as cell:
        env = gym.make("envs:PandaReach-v0", cell=cell, disable_env_checker=True).unwrapped
        env.reset(seed=0)
        cell.robot.inner.inject_fault("motor_hot")
        stays_down(env)


def test_a_cell_behind_a_server_waits_for_its_operator():
    with rk.make_workcell("mujoco-pick-cube", **TIGHT) as cell, served(cell) as url, rk.make_workcell(url) as remote:
        env = pick_cube(remote)
        env.reset(seed=0)
        overshoot(env)
        stays_down(env)


def test_both_arms_of_a_pair_are_recovered():
    with rk.make_workcell("mujoco-pick-cube", **TIGHT) as left, rk.make_workcell("mujoco-pick-cube", **TIGHT) as right:
        pair = DualArmEnv(pick_cube(left), pick_cube(right))
        pair.reset(seed=0)
        overshoot(pair, arms=2)
        assert "outside the workspace box" in pair.recover_simulation()
        pair.reset(seed=1)
        pair.step(np.zeros(8, np.float32))


@pytest.mark.parametrize("seed", range(4))
def test_no_actions_of_an_agent_make_the_monitor_stop_the_simulation_of_serl(seed):
    """Its law overshoots by up to 0.38 m: a margin that stops an exploring agent ends its training."""
    rng = np.random.default_rng(seed)
    with closing(gym.make("envs:PandaPickCube-v0", disable_env_checker=True)) as env:
        env.reset(seed=seed)
        farthest_m = 0.0
        for action in to_and_fro(rng, 3000):
            *_, truncated, _ = env.step(action)
            place_m = env.unwrapped.workcell.get_state().robot.tcp_pose_in_base[:3]
            farthest_m = max(farthest_m, float((place_m - (0.6, 0.3, 0.5)).max()))
            if truncated:
                env.reset()
        assert farthest_m > 0.1, "these actions are no trial of the margin"
