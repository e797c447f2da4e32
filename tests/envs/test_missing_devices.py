"""B6: a device that fails ends what needs it, with its name and before the next command, and nothing else."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

import robotkit as rk
from envs.core import ManipulationEnv
from envs.dual import DualArmEnv
from envs.tasks import FrankaTask, franka_actions
from envs.tasks.insertion import Insertion
from envs.tasks.peg_insertion import PEG
from envs.tasks.pick_cube import PickCube, pick_cube_actions
from envs.tasks.reach import Reach, reach_actions
from envs.tasks.reach_pose import REACH_POSE
from robotkit import make_workcell
from robotkit.schema.cell import DeviceReport
from tests.envs.test_dual_arm_faults import own_time_cell
from tests.envs.test_serl_task import innermost


class Broken:
    """Makes one call of a device fail until it is mended, and counts what reached the arm."""

    def __init__(self, cell, device, call: str) -> None:
        self.device, self.call, self.works = device, call, getattr(device, call)
        self.sent = 0
        body = innermost(cell.robot)
        follow = body._follow

        def count(command):
            self.sent += 1
            return follow(command)

        body._follow = count

    def fail(self) -> None:
        def refuse(*_):
            raise rk.StaleState("nothing was heard for 1 s")

        setattr(self.device, self.call, refuse)

    def mend(self) -> None:
        setattr(self.device, self.call, self.works)


@pytest.fixture
def cell():
    with make_workcell("fake") as made:
        yield made


def failing(cell, name: str) -> Broken:
    devices = {"gripper": (cell.gripper, "get_state"), "trackers.block": (cell.trackers["block"], "get_pose")}
    return Broken(cell, *devices.get(name, (cell.cameras.get(name), "read")))


def zero(env: gymnasium.Env) -> np.ndarray:
    return np.zeros(env.action_space.shape, np.float32)


@pytest.mark.parametrize("name", ["gripper", "trackers.block", "front"])
def test_b6_what_the_task_needs_is_named_and_no_further_command_is_sent(cell, name):
    env = ManipulationEnv(cell, PickCube(("front",)), pick_cube_actions())
    env.reset(seed=0)
    env.step(zero(env))
    broken = failing(cell, name)
    broken.fail()
    named = "nothing was heard" if name == "front" else f"PickCube needs the device '{name}': nothing was heard"
    for _ in range(5):
        with pytest.raises(rk.StaleState, match=named):
            env.step(np.full(4, 0.5, np.float32))
    assert broken.sent == 1, "the step in which it failed; no other"
    broken.mend()
    assert env.step(zero(env))[4]["is_torn"]
    assert not env.step(zero(env))[4]["is_torn"]


@pytest.mark.parametrize("name", ["gripper", "trackers.block", "front"])
def test_b6_what_the_task_does_not_need_may_fail(cell, name):
    env = ManipulationEnv(cell, Reach(), reach_actions())
    failing(cell, name).fail()
    env.reset(seed=0)
    for _ in range(3):
        observation, *_, info = env.step(zero(env))
    assert observation in env.observation_space
    assert not info["is_torn"]


def test_b6_a_reset_without_the_gripper_moves_nothing():
    cell = own_time_cell()
    env = ManipulationEnv(cell, FrankaTask(REACH_POSE), franka_actions(REACH_POSE))
    env.reset(seed=0)
    broken = Broken(cell, cell.gripper, "get_state")
    broken.fail()
    before = cell.get_state().robot
    with pytest.raises(rk.StaleState, match="FrankaTask needs the device 'gripper'"):
        env.reset()
    after = cell.get_state().robot
    assert broken.sent == 0
    assert np.array_equal(before.tcp_pose_in_base, after.tcp_pose_in_base)
    cell.disconnect()


def test_b6_a_reset_of_a_stopped_arm_moves_nothing_and_opens_no_gripper(cell):
    env = ManipulationEnv(cell, PickCube(), pick_cube_actions())
    env.reset(seed=0)
    cell.gripper.close()
    cell.robot.stop_for("a person pressed stop", "operator")
    with pytest.raises(rk.RobotStopped, match=r"a person pressed stop.*operator"):
        env.reset()
    assert cell.gripper.get_state().target_position == 0.0
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(zero(env))


def test_b6_a_tracker_by_which_a_task_judges_is_needed_where_there_is_one():
    task = Insertion(PEG)
    task.trackers = ()
    state = rk.CellState.model_construct(errors={f"trackers.{PEG.part}": report()}, gripper=None, poses={})
    with pytest.raises(rk.StaleState, match=f"Insertion needs the device 'trackers.{PEG.part}'"):
        task.require_measured(state)
    task.require_measured(state, with_objects=False)
    task.require_measured(rk.CellState.model_construct(errors={}, gripper=None, poses={}))


def report() -> DeviceReport:
    return DeviceReport(code="stale_state", message="nothing was heard for 1 s")


@pytest.mark.parametrize("make_cell", [lambda: make_workcell("fake"), own_time_cell], ids=["lockstep", "real"])
@pytest.mark.parametrize("call", ["step", "reset"])
def test_b6_of_two_arms_neither_moves_when_one_cannot(make_cell, call):
    cells = make_cell(), make_cell()
    env = DualArmEnv(*(ManipulationEnv(cell, FrankaTask(REACH_POSE), franka_actions(REACH_POSE)) for cell in cells))
    env.reset(seed=0)
    env.step(zero(env))
    cells[1].robot.stop_for("a person pressed stop", "operator")
    left = Broken(cells[0], cells[0].gripper, "get_state")
    with pytest.raises(rk.RobotStopped, match="operator"):
        env.step(zero(env)) if call == "step" else env.reset()
    assert left.sent == 0
    env.close()
    for cell in cells:
        cell.disconnect()
