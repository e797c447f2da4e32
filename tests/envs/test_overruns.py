"""R11: a step that took far longer than its period says so, whatever held it up."""

from __future__ import annotations

import signal
import threading
import time

import numpy as np
import pytest

from envs.core import ManipulationEnv
from envs.dual import DualArmEnv
from envs.registration import make_env
from envs.tasks import FrankaTask, franka_actions
from envs.tasks.reach_pose import REACH_POSE
from envs.wrappers.action_repeat import ActionRepeat
from robotkit import make_workcell
from tests.envs.test_dual_arm_faults import own_time_cell
from tests.serving import server_process

PERIOD_S = REACH_POSE.control_period_s
NOTHING = np.zeros(7, np.float32)


@pytest.fixture
def cell():
    made = own_time_cell()
    yield made
    made.disconnect()


def env_in(cell) -> ManipulationEnv:
    env = ManipulationEnv(cell, FrankaTask(REACH_POSE), franka_actions(REACH_POSE))
    env.reset(seed=0)
    return env


def delay(cell, where: str, late_s: float) -> None:
    """The next step takes `late_s` longer: on the cell's own clock, or on the way of the answer."""
    owner, name = {"clock": (cell.clock, "advance"), "answer": (cell, "_measure")}[where]
    call = getattr(owner, name)

    def late(*arguments):
        setattr(owner, name, call)
        result = call(*arguments)
        type(cell.clock).advance(cell.clock, late_s)
        return result

    setattr(owner, name, late)


@pytest.mark.parametrize("where", ["clock", "answer"])
@pytest.mark.parametrize(("periods", "is_torn"), [(0.5, False), (4.9, False), (5.1, True), (30.0, True)])
def test_r11_the_lateness_of_a_step_is_told_and_a_torn_one_marked(cell, where, periods, is_torn):
    env = env_in(cell)
    assert env.step(NOTHING)[4]["overrun_s"] == pytest.approx(0.0, abs=1e-9)
    delay(cell, where, periods * PERIOD_S)
    info = env.step(NOTHING)[4]
    assert info["overrun_s"] == pytest.approx(periods * PERIOD_S)
    assert info["is_torn"] == is_torn
    info = env.step(NOTHING)[4]
    assert info["overrun_s"] == pytest.approx(0.0, abs=1e-9)
    assert not info["is_torn"]


def test_r11_in_lock_step_a_step_takes_what_it_takes():
    with make_workcell("fake") as cell:
        env = env_in(cell)
        advance = cell.clock.advance
        cell.clock.advance = lambda period_s: (time.sleep(0.001), advance(period_s))
        info = env.step(NOTHING)[4]
    assert (info["overrun_s"], info["is_torn"]) == (0.0, False)


def test_r11_one_late_arm_makes_the_pair_late(cell):
    other = own_time_cell()
    env = DualArmEnv(env_in(cell), env_in(other))
    env.reset(seed=0)
    delay(other, "clock", 1.0)
    info = env.step(np.zeros(14, np.float32))[4]
    assert info["overrun_s"] == pytest.approx(1.0)
    assert info["is_torn"]
    env.close()
    other.disconnect()


def test_r11_a_repeated_action_ends_with_the_torn_step(cell):
    env = ActionRepeat(env_in(cell), 4)
    delay(cell, "clock", 1.0)
    assert env.step(NOTHING)[4]["is_torn"]
    assert not env.step(NOTHING)[4]["is_torn"]


def test_r11_a_stopped_server_shows():
    with server_process("--cell", "fake", "--clock", "real") as (url, process):
        env = make_env("PandaReach-v0", cell=url)
        env.reset(seed=0)
        env.step(np.zeros(3, np.float32))
        process.send_signal(signal.SIGSTOP)
        waker = threading.Timer(1.5, process.send_signal, (signal.SIGCONT,))
        waker.start()
        info = env.step(np.zeros(3, np.float32))[4]
        waker.join()
        env.close()
    assert info["overrun_s"] > 1.0
    assert info["is_torn"]
