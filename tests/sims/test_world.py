"""Laws of simulated time and of resets."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import robotkit as rk

BLOCK = np.array((0.45, 0.1, 0.02, 0.0, 0.0, 0.0, 1.0))
NEVER_HOLD = {"limits.watchdog_s": None}


def wander(cell: rk.Workcell, seed: int, steps: int) -> bytes:
    """Drive the arm about and return everything that was measured."""
    rng = np.random.default_rng(seed)
    state = cell.reset(seed, {"block": BLOCK})
    target, measured = state.robot.tcp_pose_in_base.copy(), []
    target[3:] = (1.0, 0.0, 0.0, 0.0)
    for _ in range(steps):
        target[:3] = np.clip(target[:3] + rng.uniform(-0.05, 0.05, 3), (0.2, -0.3, 0.0), (0.6, 0.3, 0.5))
        command = rk.PoseCommand(tcp_pose_in_base=target)
        state = cell.step(command, rk.GripperCommand(position=float(rng.uniform())), 0.02)
        measured += [state.robot.joint_positions_rad, state.robot.wrench_in_tcp, state.poses["block"].pose_in_base]
    return np.concatenate(measured).tobytes()


def test_one_seed_gives_one_trajectory_to_the_last_bit(cell):
    first = wander(cell, 3, 60)
    wander(cell, 4, 10)
    assert wander(cell, 3, 60) == first
    with rk.make_workcell("mujoco-pick-cube") as other:
        assert wander(other, 3, 60) == first


def test_time_passes_by_exactly_what_was_asked(cell):
    start_s = cell.clock.now_s()
    for period_s in (0.02, 0.003, 0.003, 0.0005, 0.0005, 0.001, 0.1):
        cell.clock.advance(period_s)
    assert cell.clock.now_s() - start_s == pytest.approx(0.128, abs=1e-12)
    assert cell.world.data.time == pytest.approx(0.128, abs=1e-9)


def test_a_reset_does_not_turn_time_back(cell):
    cell.clock.advance(0.1)
    before_s = cell.clock.now_s()
    assert cell.reset().robot.stamp_s >= before_s
    assert cell.world.data.time == 0.0


def test_objects_stand_where_they_were_put_and_others_at_home(cell):
    np.testing.assert_allclose(cell.reset(0, {"block": BLOCK}).poses["block"].pose_in_base, BLOCK, atol=1e-12)
    np.testing.assert_allclose(cell.reset(0).poses["block"].pose_in_base[:3], (0.5, 0.0, 0.02), atol=1e-12)


def test_an_unknown_object_is_refused_by_name(cell):
    with pytest.raises(rk.Unsupported, match=r"cannot place teapot; it can place block"):
        cell.reset(0, {"teapot": BLOCK})


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ({"world.scene": "moon"}, r"no scene 'moon'. Known: .*pick-cube"),
        ({"world.physics_dt_s": 0.0}, "physics_dt_s"),
        ({"cameras.front.camera": "back"}, r"no camera 'back'. Known: .*front"),
        ({"trackers.block.body": "ball"}, r"no body 'ball'. Known: .*block"),
        ({"robot.controller": "pid"}, "controller"),
    ],
)
def test_a_wrong_option_says_what_is_known(override, text):
    with pytest.raises(rk.InvalidConfiguration, match=text):
        rk.make_workcell("mujoco-pick-cube", **override)


def test_a_device_without_its_world_says_how_to_get_one():
    with pytest.raises(rk.InvalidConfiguration, match="mujoco-pick-cube"):
        rk.make_robot("mujoco")


def test_a_resting_arm_stays_where_it_is_and_feels_nothing(cell):
    start = cell.get_state().robot
    cell.clock.advance(2.0)
    rest = cell.get_state().robot
    np.testing.assert_allclose(rest.joint_positions_rad, start.joint_positions_rad, atol=1e-3)
    np.testing.assert_allclose(rest.joint_velocities_rad_s, 0.0, atol=1e-4)
    # In the first instant the springs of the fingers are not in balance yet.
    np.testing.assert_allclose(start.wrench_in_tcp, 0.0, atol=5.0)
    np.testing.assert_allclose(rest.wrench_in_tcp, 0.0, atol=0.05)
    assert rest.mode == "holding"


def test_a_finer_physics_step_ends_in_the_same_place():
    ends = []
    for dt_s in (0.001, 0.002):
        with rk.make_workcell("mujoco-pick-cube", **{"world.physics_dt_s": dt_s}) as cell:
            target = cell.reset().robot.tcp_pose_in_base + np.array((0.05, 0.05, -0.05, 0, 0, 0, 0))
            for _ in range(40):
                state = cell.step(rk.PoseCommand(tcp_pose_in_base=target), None, 0.02)
            ends.append(state.robot.tcp_pose_in_base[:3])
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-3)


def between_chunks(monkeypatch, call):
    """Have another thread run `call` to its end, once, in the first pause of a long step."""
    threads = []

    def pause(_):
        if not threads:
            threads.append(threading.Thread(target=call))
            threads[0].start()
            threads[0].join(10.0)
            assert not threads[0].is_alive(), "the step lets nobody in"

    monkeypatch.setattr("sims.simulation.time.sleep", pause)


def test_f9_a_stop_gets_into_a_long_step_and_holds_for_the_rest_of_it(cell, monkeypatch):
    target = cell.get_state().robot.tcp_pose_in_base + np.array((0.1, 0.1, 0.0, 0, 0, 0, 0))
    between_chunks(monkeypatch, cell.robot.stop)
    state = cell.step(rk.PoseCommand(tcp_pose_in_base=target), None, 2.0).robot
    assert state.mode == "stopped"
    assert np.linalg.norm(state.tcp_pose_in_base[:3] - target[:3]) > 0.02, "it was stopped on its way"
    assert np.abs(state.joint_velocities_rad_s).max() < 0.01


def test_f9_a_reset_ends_a_long_step(cell, monkeypatch):
    start_s = cell.clock.now_s()
    between_chunks(monkeypatch, lambda: cell.world.reset(0, {}))
    cell.clock.advance(2.0)
    assert cell.clock.now_s() - start_s < 0.2
    assert cell.world.data.time == 0.0


@pytest.fixture
def running():
    with rk.make_workcell("mujoco-pick-cube", clock="real", **NEVER_HOLD) as cell:
        cell.reset()
        yield cell


def test_the_physics_follows_the_wall_clock_while_it_is_polled(running):
    start_s, simulated_s = time.monotonic(), running.world.data.time
    while time.monotonic() - start_s < 1.0:
        running.get_state()
        time.sleep(0.002)
    factor = (running.world.data.time - simulated_s) / (time.monotonic() - start_s)
    assert factor == pytest.approx(1.0, abs=0.05)
    assert running.clock.now_s() - running.get_state().robot.stamp_s < 0.25


def test_a_late_world_catches_up_and_a_suspended_one_does_not(running):
    world = running.world
    simulated_s, start_s = world.data.time, time.monotonic()
    with world.lock:
        time.sleep(0.2)
    running.clock.advance(0.1)
    assert world.data.time - simulated_s > time.monotonic() - start_s - 0.1
    simulated_s = world.data.time
    with world.lock:
        time.sleep(0.7)
    running.clock.advance(0.05)
    assert world.data.time - simulated_s < 0.5


def test_a_running_world_cannot_be_stepped_and_its_thread_ends_with_it():
    with rk.make_workcell("mujoco-pick-cube", clock="real", **NEVER_HOLD) as cell:
        world = cell.world
        with pytest.raises(rk.Unsupported, match="lockstep"):
            world.advance(0.02)
        assert any(thread.name == "mujoco-physics" for thread in threading.enumerate())
    assert not any(thread.name == "mujoco-physics" for thread in threading.enumerate())
