"""R1: what somebody else did with the arm between two steps is not undone by the next action."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

import robotkit as rk
from envs.core import ManipulationEnv
from envs.registration import TABLE, make_env
from robotkit import make_workcell, spatial
from robotkit.schema import PoseCommand
from servers.settings import ServerSettings
from tests.envs.test_serl_task import innermost
from tests.serving import served
from tests.support.waiting import is_fine, wait_until

IDS = ("FrankaReachPose-v0", "PandaReach-v0", "PandaPickCube-v0")
SMALL_TURN = np.array((0.0, 0.0, 0.04))


def env_in(cell, name: str) -> ManipulationEnv:
    row = TABLE[name]
    task = row.task()
    task.trackers = tuple(set(task.trackers) & set(cell.trackers))
    return ManipulationEnv(cell, task, row.action_map())


def zero(env) -> np.ndarray:
    return np.zeros(env.action_space.shape, np.float32)


def pose_of(cell) -> np.ndarray:
    return cell.get_state().robot.tcp_pose_in_base


def carry(cell, way_m, turn=(0.0, 0.0, 0.0), steps=12) -> None:
    """Another client's motion, in steps, to its end."""
    cell.robot.hold()
    start = pose_of(cell)
    for number in range(1, steps + 1):
        share = number / steps
        target = spatial.integrate_delta(start, np.array(way_m) * share, np.array(turn) * share)
        cell.step(PoseCommand(tcp_pose_in_base=target), None, 0.1)
    for _ in range(10):
        cell.step(PoseCommand(tcp_pose_in_base=target), None, 0.1)
    cell.robot.hold()


def drift_m(env, cell, steps=10) -> float:
    start = pose_of(cell)
    drifts = []
    for _ in range(steps):
        env.step(zero(env))
        drifts.append(spatial.distance_between(pose_of(cell), start))
    return max(drifts)


@pytest.mark.parametrize("name", ["FrankaReachPose-v0", "PandaReach-v0"])
@pytest.mark.parametrize("cell_name", ["fake", "mujoco-pick-cube"])
def test_r1_zero_actions_leave_the_arm_where_another_client_took_it(name, cell_name):
    with make_workcell(cell_name) as cell:
        env = env_in(cell, name)
        env.reset(seed=0)
        for _ in range(3):
            env.step(np.full(env.action_space.shape, 0.3, np.float32))
        carry(cell, (0.0, -0.12, 0.0))
        info = env.step(zero(env))[4]
        assert info["is_torn"]
        assert drift_m(env, cell) < 1e-3
        assert not env.step(zero(env))[4]["is_torn"]


@pytest.mark.parametrize("interruption", ["hold", "stop", "joint_motion", "world"])
@pytest.mark.parametrize("name", ["FrankaReachPose-v0", "PandaPickCube-v0"])
def test_r1_the_next_target_after_an_interruption_is_where_the_arm_stands(name, interruption):
    with make_workcell("fake") as cell:
        env = env_in(cell, name)
        env.reset(seed=0)
        ahead = np.zeros(env.action_space.shape, np.float32)
        ahead[1] = 0.9
        for _ in range(2):
            env.step(ahead)
        if interruption == "hold":
            cell.robot.hold()
        elif interruption == "stop":
            cell.robot.stop_for("a person pressed stop", "operator")
            cell.robot.recover()
            with pytest.raises(rk.RobotStopped):
                env.step(ahead)
        elif interruption == "joint_motion":
            cell.robot.reset()
        else:
            cell.reset(1)
        stands = pose_of(cell)
        state = cell.robot.get_state()
        assert drift_m(env, cell, steps=3) < 1e-3
        assert state.target_epoch == env.workcell.robot.target_epoch
        assert np.allclose(pose_of(cell)[:3], stands[:3], atol=1e-3)


@pytest.fixture(params=["in this process", "remote"])
def any_cell(request):
    """The cell of an environment, and the one that has the arm."""
    cell = make_workcell("fake")
    if request.param == "remote":
        with served(cell) as url, make_workcell("remote", url=url) as remote:
            yield remote, cell
    else:
        with cell:
            yield cell, cell


@pytest.mark.parametrize("when", ["before the step", "before its command"])
@pytest.mark.parametrize("by", ["stop", "fault"])
def test_a2_r1_no_action_from_before_a_recovery_is_carried_out_after_it(any_cell, by, when):
    cell, owner = any_cell
    env = env_in(cell, "FrankaReachPose-v0")
    env.reset(seed=0)
    ahead = np.full(env.action_space.shape, 0.3, np.float32)
    assert not env.step(ahead)[4]["is_torn"]

    def interrupt():
        owner.robot.stop() if by == "stop" else owner.robot.inner.inject_fault("torn")
        owner.robot.recover()

    if when == "before the step":
        interrupt()
    else:
        send = cell.step

        def interrupted(*args):
            cell.step = send
            interrupt()
            return send(*args)

        cell.step = interrupted
    targets = owner.robot.machine.targets
    with pytest.raises(rk.RobotStopped, match="no action from before"):
        env.step(ahead)
    assert owner.robot.machine.targets == targets
    info = env.step(ahead)[4]  # who goes on knows of it
    assert info["is_torn"]
    assert owner.robot.machine.targets == targets + 1
    assert not env.step(ahead)[4]["is_torn"]


def test_a2_r1_a_recovery_in_the_period_of_a_step_tears_it_and_the_next_action_has_seen_it():
    with make_workcell("fake") as cell:
        env = env_in(cell, "FrankaReachPose-v0")
        env.reset(seed=0)
        advance = cell.clock.advance
        cell.clock.advance = lambda period_s: (advance(period_s), cell.robot.stop(), cell.robot.recover())
        assert env.step(np.ones(7, np.float32))[4]["is_torn"]
        cell.clock.advance = advance
        assert not env.step(zero(env))[4]["is_torn"]


def test_r1_a_hold_during_a_step_is_noticed_after_it():
    with make_workcell("fake") as cell:
        env = env_in(cell, "FrankaReachPose-v0")
        env.reset(seed=0)
        advance = cell.clock.advance
        cell.clock.advance = lambda period_s: (advance(period_s / 2), cell.robot.hold(), advance(period_s / 2))
        assert env.step(np.ones(7, np.float32))[4]["is_torn"]
        cell.clock.advance = advance
        assert drift_m(env, cell) < 1e-3


def test_r1_an_arm_that_was_pushed_far_out_of_the_box_makes_the_cell_refuse_nothing():
    """From 0.25 m outside the actions' box: each target is one that the cell takes, and the arm comes back."""
    wide = {"limits.workspace": None, "limits.max_translation_step_m": 0.1, "limits.max_rotation_step_rad": 0.2}
    for name in IDS:
        with make_workcell("fake", **wide) as cell:
            env = env_in(cell, name)
            task_box = env.action_map.config.workspace.position_max_m[1] if hasattr(env.action_map, "config") else 0.3
            env.reset(seed=0)
            carry(cell, (0.0, float(task_box) + 0.25 - pose_of(cell)[1], 0.0), SMALL_TURN)
            heights = [pose_of(cell)[1]]
            for _ in range(40):
                env.step(zero(env))
                heights.append(pose_of(cell)[1])
            assert (np.diff(heights) <= 1e-9).all(), name
            assert np.diff(heights).min() > -0.11, name
            assert heights[-1] < task_box + 1e-3, name


@pytest.mark.parametrize("name", ["FrankaReachPose-v0", "PandaReach-v0"])
def test_r1_behind_a_server_too(name):
    with make_workcell("fake") as inner, served(inner, ServerSettings(lease_timeout_s=0.05)) as url:
        env = make_env(name, cell=url)
        other = rk.make_workcell("remote", url=url)
        env.reset(seed=0)
        for _ in range(3):
            env.step(np.full(env.action_space.shape, 0.3, np.float32))
        with other:
            # Until the other client's lease has run out.
            wait_until(lambda: is_fine(other.robot.hold, rk.ControlHeld))
            carry(other, (0.0, -0.1, 0.0))
        assert env.step(zero(env))[4]["is_torn"]
        assert drift_m(env, inner) < 1e-3
        env.close()


@pytest.mark.parametrize("broken", [np.zeros(7), np.full(7, np.nan), np.array((0.5, 0, 0.3, 0, 0, 0, 0.0))], ids=str)
@pytest.mark.parametrize("name", ["FrankaReachPose-v0", "PandaReach-v0"])
def test_r1_a_state_that_is_none_is_a_device_fault_with_a_sentence(name, broken):
    with make_workcell("fake") as cell:
        env = env_in(cell, name)
        env.reset(seed=0)
        body = innermost(cell.robot)
        measure = body._measure
        body._measure = lambda: measure()._replace(tcp_pose_in_base=broken)
        with pytest.raises(rk.DeviceFault, match="tcp_pose_in_base"):
            env.step(zero(env))
        held = measure().tcp_pose_in_base
        with pytest.raises(rk.DeviceFault):
            env.step(np.ones(env.action_space.shape, np.float32))
        assert np.array_equal(measure().tcp_pose_in_base, held), "a second step sent nothing"
        body._measure = measure
        cell.robot.recover()
        with pytest.raises(rk.RobotStopped):
            env.step(zero(env))
        assert env.step(zero(env))[4]["is_torn"]


def test_r1_numbers_that_are_not_finite_are_a_device_fault_too():
    for name in ("tcp_twist_in_base", "wrench_in_tcp", "joint_positions_rad", "joint_velocities_rad_s"):
        with make_workcell("fake", limits={}) as cell:
            env = env_in(cell, "FrankaReachPose-v0")
            env.reset(seed=0)
            body = innermost(cell.robot)
            measure = body._measure
            broken = np.full_like(getattr(measure(), name), np.nan)
            body._measure = lambda measure=measure, name=name, broken=broken: measure()._replace(**{name: broken})
            with pytest.raises(rk.DeviceFault, match=name):
                env.step(zero(env))


def test_an_env_that_is_told_to_hold_keeps_its_arm_and_tears_its_episode():
    with make_workcell("mujoco-pick-cube") as cell:
        env = env_in(cell, "PandaPickCube-v0")
        env.reset(seed=1)
        before = cell.get_state().robot.target_epoch
        env.hold()
        assert cell.get_state().robot.target_epoch > before
        assert env.step(zero(env))[4]["is_torn"]
        env.reset(seed=1)
        assert not env.step(zero(env))[4]["is_torn"]


@pytest.mark.parametrize("faulty", ["left", "right"])
def test_both_arms_are_told_to_hold_also_when_one_of_them_fails(faulty, monkeypatch):
    env = gymnasium.make("envs:DualFrankaReachPose-v0", cell="fake").unwrapped
    env.reset(seed=1)
    cores = {arm: one.unwrapped for arm, one in env.arms.items()}
    held = []

    def refuse():
        raise rk.DeviceError("it does not answer")

    for arm, core in cores.items():
        how = refuse if arm == faulty else lambda arm=arm: held.append(arm)
        monkeypatch.setattr(core.workcell.robot, "hold", how)
    with pytest.raises(rk.DeviceError):
        env.hold()
    assert held == [arm for arm in cores if arm != faulty]
    monkeypatch.undo()
    env.close()
