"""Laws of `DualArmEnv` when an arm fails, and of commanding both at once."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from gymnasium.error import ResetNeeded

import envs.dual.env as dual_env
from envs.core import ManipulationEnv
from envs.dual import DualArmEnv
from envs.tasks import FrankaTask, franka_actions
from envs.tasks.reach_pose import REACH_POSE
from robotkit import DeviceFault, RobotStopped, make_workcell
from robotkit.drivers.fake import ManualClock
from tests.envs.cells import made
from tests.envs.test_serl_task import innermost, real_cell

ID = "DualFrankaReachPose-v0"
FAST = np.ones(14, np.float32)


class OwnTime(ManualClock):
    """A counter that says of itself what a wall clock does: that it goes on without being asked."""

    is_lockstep = False


def own_time_cell():
    return real_cell(OwnTime())


def reach_env(cell):
    return ManipulationEnv(cell, FrankaTask(REACH_POSE), franka_actions(REACH_POSE))


def fault(cell):
    innermost(cell.robot).inject_fault("reflex")


def recover(cells):
    for cell in cells:
        cell.robot.recover()


def rest(cell):
    """How far the arm still moves when time passes without a command, in metres."""
    before = cell.get_state().robot.tcp_pose_in_base
    cell.clock.advance(0.5)
    return np.abs(cell.get_state().robot.tcp_pose_in_base - before)[:3].max()


@pytest.mark.parametrize("make_cell", [lambda: make_workcell("fake"), own_time_cell], ids=["lockstep", "real"])
@pytest.mark.parametrize("faulty", [0, 1], ids=["left", "right"])
def test_when_one_arm_faults_both_hold_and_a_reset_begins_anew(make_cell, faulty):
    cells = make_cell(), make_cell()
    env = DualArmEnv(*(reach_env(cell) for cell in cells))
    env.reset(seed=0)
    for _ in range(3):
        env.step(FAST)
    moving = cells[1 - faulty].get_state().robot.tcp_twist_in_base[:3]
    assert np.linalg.norm(moving) > 0.05, "it is on its way when the other one faults"
    fault(cells[faulty])
    with pytest.raises(DeviceFault) as caught:
        env.step(FAST)
    assert [("left", "right")[faulty] in note for note in caught.value.__notes__] == [True]
    assert [rest(cell) for cell in cells] == [0.0, 0.0]
    with pytest.raises(ResetNeeded, match="failed"):
        env.step(FAST)
    with pytest.raises(DeviceFault):
        env.reset()
    recover(cells)
    env.reset()
    env.step(FAST)
    env.close()
    for cell in cells:
        cell.disconnect()


def test_a_latched_stop_of_one_arm_holds_the_other_and_stays_latched():
    cells = make_workcell("fake"), make_workcell("fake")
    env = DualArmEnv(*(reach_env(cell) for cell in cells))
    env.reset(seed=0)
    cells[1].robot.stop()
    with pytest.raises(RobotStopped):
        env.step(FAST)
    assert rest(cells[0]) == 0.0, "the left arm, which had been commanded already"
    with pytest.raises(RobotStopped):
        env.reset()
    env.close()
    for cell in cells:
        cell.disconnect()


def interrupt(*_):
    raise KeyboardInterrupt


def test_ctrl_c_holds_both_too(monkeypatch):
    cells = make_workcell("fake"), make_workcell("fake")
    env = DualArmEnv(*(reach_env(cell) for cell in cells))
    env.reset(seed=0)
    env.step(FAST)
    monkeypatch.setattr(cells[1].robot, "send", interrupt)
    with pytest.raises(KeyboardInterrupt):
        env.step(FAST)
    assert [rest(cell) for cell in cells] == [0.0, 0.0]
    for cell in cells:
        cell.disconnect()


def test_ctrl_c_tells_an_arm_on_its_way_to_hold_at_once(monkeypatch):
    """Else a joint motion that the interrupted pair had begun would go on to its end."""
    cells = own_time_cell(), own_time_cell()
    env = DualArmEnv(*(reach_env(cell) for cell in cells))
    env.reset(seed=0)
    sends, held, was_held = threading.Event(), threading.Event(), []
    hold, wait = cells[1].robot.hold, dual_env.wait
    # The pair asks whether both can be stepped, then steps them.
    waits = iter((wait, lambda *_: interrupt(sends.wait(60.0))))
    monkeypatch.setattr(cells[1].robot, "hold", lambda: (hold(), held.set()))
    monkeypatch.setattr(cells[1].robot, "send", lambda *_: (sends.set(), was_held.append(held.wait(60.0))))
    monkeypatch.setattr(dual_env, "wait", lambda *given: next(waits, wait)(*given))
    with pytest.raises(KeyboardInterrupt):
        env.step(FAST)
    assert was_held == [True]
    env.close()
    for cell in cells:
        cell.disconnect()


def test_an_error_of_the_hold_is_no_excuse_for_losing_the_fault(monkeypatch):
    cells = own_time_cell(), own_time_cell()
    env = DualArmEnv(*(reach_env(cell) for cell in cells))
    env.reset(seed=0)
    for cell in cells:
        fault(cell)

    def refuse():
        raise ConnectionError("gone")

    held = []
    monkeypatch.setattr(cells[0].robot, "hold", refuse)
    monkeypatch.setattr(cells[1].robot, "hold", lambda: held.append(1))
    with pytest.raises(DeviceFault) as caught:
        env.step(FAST)
    first, second, third = caught.value.__notes__
    assert "the left arm" in first
    assert "DeviceFault" in second, "the other arm's fault is told too"
    assert "left arm could not be told to hold: ConnectionError('gone')" in third
    assert held == [1]
    env.close()


def test_where_time_passes_by_itself_both_arms_are_commanded_at_once():
    """Each arm's command waits here for the other's: one after the other, they would wait for ever."""
    cells = own_time_cell(), own_time_cell()
    env = DualArmEnv(*(reach_env(cell) for cell in cells))
    env.reset(seed=0)
    meeting = threading.Barrier(2, timeout=20.0)
    for cell in cells:
        send = cell.robot.send
        cell.robot.send = lambda *given, send=send: (meeting.wait(), send(*given))[1]
    for _ in range(3):
        env.step(FAST)
    env.close()


def test_simulated_arms_need_no_threads():
    before = threading.active_count()
    with made(ID, cell="fake") as env:
        env.reset(seed=0)
        env.step(FAST)
        assert threading.active_count() == before
