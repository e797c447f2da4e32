"""A physics that fails numerically is a fault that everybody sees; MuJoCo's silent reset never happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import mujoco
import numpy as np
import pytest

import robotkit as rk
from robotkit.devices import ArmFault
from sims.warning_log import keep_warnings_out_of_files
from tests.support.recording_arm import InThread
from tests.support.waiting import wait_until

NEVER_HOLD = {"limits.watchdog_s": None}
WORST = rk.ComplianceParams(
    translational_stiffness_n_m=5000.0, translational_damping_ns_m=0.0,
    rotational_stiffness_nm=500.0, rotational_damping_nms_rad=0.0,
    translational_clip_min_m=np.full(3, -0.5), translational_clip_max_m=np.full(3, 0.5),
    rotational_clip_min=np.full(3, -0.5), rotational_clip_max=np.full(3, 0.5), nullspace_stiffness_nm_rad=100.0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _no_file_is_written(tmp_path, monkeypatch):
    """By itself MuJoCo appends its warnings to MUJOCO_LOG.TXT."""
    monkeypatch.chdir(tmp_path)
    yield
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(params=["lockstep", "real"])
def cell(request) -> Iterator[rk.Workcell]:
    with rk.make_workcell("mujoco-pick-cube", clock=request.param, **NEVER_HOLD) as built:
        built.reset(seed=0)
        yield built


def bare(robot):
    while hasattr(robot, "inner"):
        robot = robot.inner
    return robot


def break_force(world):
    world.data.xfrc_applied[world.model.body("block").id, 2] = np.nan


def break_huge_force(world):
    world.data.xfrc_applied[world.model.body("block").id, 2] = 1e13


def break_velocity(world):
    world.data.qvel[2] = np.nan


def break_position(world):
    world.data.qpos[3] = np.inf


def break_control_law(world):
    world.arm.follow_pose(np.array((np.nan, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0)))


def break_gripper_command(world):
    world.data.ctrl[7] = np.nan


def throw_block(world):
    world.data.qvel[world.model.jnt_dofadr[world.model.joint("block").id]] = 1e5


BREAKS = [break_force, break_huge_force, break_velocity, break_position, break_control_law, break_gripper_command,
          throw_block]  # fmt: skip


def wait_for_fault(cell: rk.Workcell) -> rk.RobotState:
    """Let time pass until the arm reports a fault."""
    if cell.clock.is_lockstep:
        with pytest.raises(rk.DeviceFault, match="has failed"):
            cell.clock.advance(1.0)
    wait_until(lambda: cell.robot.get_state().mode == "fault")
    return cell.robot.get_state()


@pytest.mark.parametrize("break_world", BREAKS)
def test_p8_a_numerical_failure_is_a_fault_that_says_what_failed(cell, break_world):
    before = cell.get_state().robot
    with cell.world.lock:
        break_world(cell.world)
    state = wait_for_fault(cell)
    assert state.faults[0]
    assert state.fault_since_s >= before.stamp_s
    for field in ("tcp_pose_in_base", "tcp_twist_in_base", "wrench_in_tcp", "joint_positions_rad", "jacobian_in_base"):
        assert np.isfinite(getattr(state, field)).all(), field
    np.testing.assert_allclose(state.joint_positions_rad, before.joint_positions_rad, atol=0.2)
    assert before.stamp_s <= state.stamp_s
    assert cell.robot.get_state().stamp_s == state.stamp_s, "the last sound measurement keeps its stamp"


@pytest.mark.parametrize("break_world", BREAKS)
def test_p8_nothing_goes_on_in_a_failed_world_until_it_starts_anew(cell, break_world):
    with cell.world.lock:
        break_world(cell.world)
    state = wait_for_fault(cell)
    robot = bare(cell.robot)
    for refused in (
        lambda: robot.send(rk.PoseCommand(tcp_pose_in_base=state.tcp_pose_in_base)),
        lambda: robot.move_to_joint_positions(state.joint_positions_rad),
        cell.gripper.get_state,
        cell.gripper.close,
        cell.trackers["block"].get_pose,
    ):
        with pytest.raises(rk.DeviceFault, match="reset the cell, or recover"):
            refused()
    restarted = cell.reset(seed=0)
    assert restarted.robot.mode == "holding"
    np.testing.assert_allclose(restarted.robot.joint_positions_rad, robot.spec.reset_joint_positions_rad, atol=1e-3)
    moved = restarted.robot.tcp_pose_in_base + np.array((0.0, 0.0, 0.02, 0.0, 0.0, 0.0, 0.0))
    for _ in range(10):
        end = cell.step(rk.PoseCommand(tcp_pose_in_base=moved), None, 0.1)
    np.testing.assert_allclose(end.robot.tcp_pose_in_base, moved, atol=2e-3)
    assert end.robot.stamp_s > restarted.robot.stamp_s


def test_p8_recovery_of_a_failed_world_ends_in_holding_at_its_start(cell):
    with cell.world.lock:
        break_velocity(cell.world)
    wait_for_fault(cell)
    resets = cell.world.resets
    cell.robot.recover()
    state = cell.get_state().robot
    assert state.mode == "holding"
    assert state.faults == ()
    assert cell.world.resets == resets + 1
    np.testing.assert_allclose(state.joint_positions_rad, cell.robot.spec.reset_joint_positions_rad, atol=1e-3)


@pytest.mark.parametrize("restart", ["reset", "recover"])
def test_p8_a_failure_that_was_seen_before_the_world_started_anew_is_none_after_it(cell, restart):
    robot, is_seen, go_on = bare(cell.robot), threading.Event(), threading.Event()
    find_fault = robot._find_fault
    with cell.world.lock:
        break_velocity(cell.world)
    wait_for_fault(cell)

    def find_late() -> ArmFault | None:
        fault = find_fault()
        is_seen.set()
        assert go_on.wait(20.0)
        return fault

    robot._find_fault = find_late
    reader = InThread(robot.get_state)
    assert is_seen.wait(20.0)
    robot._find_fault = find_fault
    cell.reset(seed=0) if restart == "reset" else cell.robot.recover()
    go_on.set()
    assert reader.join() is None
    assert (robot.machine.mode, robot.machine.fault) == ("holding", None)


def test_p8_a_stop_outlives_a_failure_and_the_reset_after_it(cell):
    cell.robot.stop()
    with cell.world.lock:
        break_velocity(cell.world)
    wait_for_fault(cell)
    cell.reset()
    assert cell.robot.get_state().mode == "stopped"
    with pytest.raises(rk.RobotStopped):
        bare(cell.robot).send(rk.PoseCommand(tcp_pose_in_base=cell.robot.get_state().tcp_pose_in_base))
    cell.robot.recover()
    assert cell.robot.get_state().mode == "holding"


def test_p8_a_failure_ends_a_joint_motion(cell):
    robot = bare(cell.robot)
    target = robot.get_state().joint_positions_rad + 0.3
    with cell.world.lock:
        cell.world.data.xfrc_applied[cell.world.model.body("block").id, 2] = 1e13
    with pytest.raises((rk.DeviceFault, rk.MotionFailed), match="has failed"):
        robot.move_to_joint_positions(target)


def test_p8_an_exception_in_the_physics_thread_is_a_fault_too(monkeypatch):
    def fail(steps):
        raise FloatingPointError("diverged")

    with rk.make_workcell("mujoco-pick-cube", clock="real", **NEVER_HOLD) as cell:
        monkeypatch.setattr(cell.world.simulation.arms, "advance", fail)
        wait_until(lambda: cell.robot.get_state().mode == "fault")
        assert "diverged" in cell.robot.get_state().faults[0]
        for measure in (cell.gripper.get_state, cell.trackers["block"].get_pose):
            with pytest.raises(rk.DeviceFault, match="diverged"):
                measure()
        monkeypatch.undo()
        cell.robot.recover()
        stamp_s = cell.get_state().robot.stamp_s
        wait_until(lambda: cell.get_state().robot.stamp_s > stamp_s)


@pytest.mark.parametrize("kind", [kind for name, kind in mujoco.mjtWarning.__members__.items() if name != "mjNWARNING"])
def test_p8_every_warning_of_mujoco_is_a_fault(kind):
    with rk.make_workcell("mujoco-pick-cube") as cell:
        cell.world.data.warning[int(kind)].number = 1
        with pytest.raises(rk.DeviceFault, match=kind.name):
            cell.clock.advance(0.002)
        cell.reset()
        cell.clock.advance(0.1)


def test_p8_a_warning_of_mujoco_is_in_the_log_whoever_simulates(cell, caplog):
    """Also one of the thread in which a world follows the wall's time, while compiled code runs without the lock."""
    with cell.world.lock:
        break_velocity(cell.world)
    wait_for_fault(cell)
    assert "Nan, Inf or huge value in QVEL at DOF 2" in caplog.text


def test_p8_whoever_hears_mujocos_warnings_already_goes_on_to():
    own: list[str] = []
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(own.append)
    try:
        keep_warnings_out_of_files(mujoco)
        assert mujoco.get_mju_user_warning() == own.append
    finally:
        mujoco.set_mju_user_warning(before)


def shake(cell: rk.Workcell, steps: int) -> None:
    """Chase targets at random, from where the tool is; each step takes exactly its time."""
    rng, state = np.random.default_rng(1), cell.get_state().robot
    low, high = np.array((0.25, -0.35, 0.0)), np.array((0.75, 0.35, 0.6))
    for _ in range(steps):
        target = state.tcp_pose_in_base.copy()
        target[:3] = np.clip(target[:3] + rng.uniform(-0.1, 0.1, 3), low, high)
        bare(cell.robot).send(rk.PoseCommand.unchecked(kind="pose", tcp_pose_in_base=target))
        before, state = state, cell.step(None, None, 0.1).robot
        assert state.stamp_s - before.stamp_s == pytest.approx(0.1)


def test_p8_an_unstable_compliance_ends_in_a_fault_with_time_and_arm_where_they_were():
    options = {"world.physics_dt_s": 0.01, "limits.workspace": None}  # without limits nothing stops the arm before
    with rk.make_workcell("mujoco-peg-insertion", **options) as cell:
        start_s = cell.reset(0).robot.stamp_s
        bare(cell.robot).set_compliance(WORST)
        with pytest.raises(rk.DeviceFault, match="has failed"):
            shake(cell, 1000)
        failed = cell.robot.get_state()
        assert failed.mode == "fault"
        assert failed.stamp_s > start_s + 0.1
        assert np.abs(failed.joint_positions_rad - cell.robot.spec.reset_joint_positions_rad).max() > 0.1
        home = cell.reset(0).robot
        np.testing.assert_allclose(home.joint_positions_rad, cell.robot.spec.reset_joint_positions_rad, atol=5e-3)
        assert home.stamp_s == failed.stamp_s


def test_p8_another_world_is_not_taken_along():
    with rk.make_workcell("mujoco-pick-cube") as one, rk.make_workcell("mujoco-pick-cube") as other:
        break_velocity(one.world)
        with pytest.raises(rk.DeviceFault):
            one.clock.advance(0.1)
        other.clock.advance(0.1)
        assert other.get_state().robot.mode == "holding"
