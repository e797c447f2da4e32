"""Stops, holds and reflexes that fall into each other: none is lost, each is told, and one call recovers the arm."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import franky
import numpy as np
import pytest

import robotkit as rk
from robotkit.devices import ArmMachine, Travel
from robotkit.drivers.franka import FrankaRobot
from robotkit.drivers.franka.settling import wait_until_settled
from tests.support.franky_sim import FrankaSimulator
from tests.support.franky_sim.cells import robot_options
from tests.support.waiting import wait_until

_WAY_RAD = np.array((0.8, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def simulator() -> Iterator[FrankaSimulator]:
    with FrankaSimulator(is_lockstep=True) as built:
        yield built


@pytest.fixture
def arm(simulator: FrankaSimulator) -> Iterator[FrankaRobot]:
    with rk.make_robot("franka", **robot_options(simulator.host)) as robot:
        if robot.get_state().mode == "fault":
            robot.recover()
        robot.reset()
        yield robot


def lifted(arm: FrankaRobot) -> rk.PoseCommand:
    """A target 3 cm above the arm."""
    pose = arm.get_state().tcp_pose_in_base.copy()
    pose[2] += 0.03
    return rk.PoseCommand(tcp_pose_in_base=pose)


def moves_of(arm: FrankaRobot) -> float:
    """Highest joint speed now, in rad/s."""
    return float(np.abs(arm.get_state().joint_velocities_rad_s).max())


class Motion:
    """A blocking joint motion in a thread of its own, and how it ended."""

    def __init__(self, arm: FrankaRobot, goal_rad: np.ndarray) -> None:
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(arm, goal_rad))
        self._thread.start()

    def _run(self, arm: FrankaRobot, goal_rad: np.ndarray) -> None:
        try:
            arm.move_to_joint_positions(goal_rad)
        except rk.RobotkitError as error:
            self.error = error

    def end(self) -> Exception | None:
        self._thread.join(20.0)
        assert not self._thread.is_alive()
        return self.error


def begun(arm: FrankaRobot) -> Motion:
    motion = Motion(arm, arm.get_state().joint_positions_rad + _WAY_RAD)
    wait_until(lambda: moves_of(arm) > 0.2)
    return motion


def rest(arm: FrankaRobot) -> np.ndarray:
    """Wait until the arm stands; returns its joints."""
    wait_until(lambda: moves_of(arm) < 0.01)
    return arm.get_state().joint_positions_rad


def require_recovery(arm: FrankaRobot, simulator: FrankaSimulator) -> None:
    """One call suffices, moves nothing, and the arm follows again."""
    start_rad = arm.get_state().joint_positions_rad
    arm.recover()
    state = arm.get_state()
    assert (state.mode, state.faults, state.stop) == ("holding", (), None)
    end_s = simulator.now_s() + 0.3
    wait_until(lambda: simulator.now_s() > end_s)
    np.testing.assert_allclose(arm.get_state().joint_positions_rad, start_rad, atol=3e-3)
    command = lifted(arm)
    arm.send(command)
    wait_until(lambda: abs(arm.get_state().tcp_pose_in_base[2] - command.tcp_pose_in_base[2]) < 0.01)


def test_a2_a_stop_that_comes_before_the_motion_has_begun_ends_it(arm, simulator, monkeypatch):
    """It waits for nobody: it is back before the motion starts, which then brakes at once."""
    link, is_stopped = arm._require_link(), threading.Event()
    start = link.start

    def start_late(motion: object) -> None:
        if isinstance(motion, franky.JointMotion):
            stopper = threading.Thread(target=lambda: (arm.stop_for("it looked odd", "a person"), is_stopped.set()))
            stopper.start()
            assert is_stopped.wait(5.0)
        start(motion)

    monkeypatch.setattr(link, "start", start_late)
    start_rad = arm.get_state().joint_positions_rad
    with pytest.raises(rk.MotionFailed, match="it looked odd"):
        arm.move_to_joint_positions(start_rad + _WAY_RAD)
    monkeypatch.undo()
    rest(arm)
    np.testing.assert_allclose(arm.get_state().joint_positions_rad, start_rad, atol=0.05)
    state = arm.get_state()
    assert state.mode == "stopped"
    assert state.stop.author == "a person"
    with pytest.raises(rk.RobotStopped, match="it looked odd"):
        arm.send(lifted(arm))
    require_recovery(arm, simulator)


def test_a2_a_stop_in_the_motion_ends_it_and_one_call_recovers(arm, simulator):
    motion = begun(arm)
    arm.stop()
    assert isinstance(motion.end(), rk.MotionFailed)
    stopped_rad = rest(arm)
    with pytest.raises(rk.RobotStopped):
        arm.reset()
    np.testing.assert_allclose(arm.get_state().joint_positions_rad, stopped_rad, atol=2e-3)
    require_recovery(arm, simulator)


def test_a_hold_ends_a_joint_motion_and_control_goes_on_where_the_arm_stands(arm):
    motion = begun(arm)
    arm.hold()
    assert isinstance(motion.end(), rk.MotionFailed)
    wait_until(lambda: arm._tracking is not None)
    assert arm.get_state().mode == "holding"
    command = lifted(arm)
    arm.send(command)
    wait_until(lambda: abs(arm.get_state().tcp_pose_in_base[2] - command.tcp_pose_in_base[2]) < 0.01)


def test_what_is_sent_while_the_arm_still_brakes_is_followed_when_it_stands(arm):
    motion = begun(arm)
    arm.hold()
    pose = arm.get_state().tcp_pose_in_base
    arm.send(rk.PoseCommand(tcp_pose_in_base=pose))
    motion.end()
    wait_until(lambda: np.linalg.norm(arm.get_state().tcp_pose_in_base[:3] - pose[:3]) < 0.01)
    assert arm.get_state().mode == "tracking"


def test_f7_b7_a_reflex_while_a_stop_brakes_is_told_and_one_call_recovers(arm, simulator):
    arm.send(lifted(arm))
    wait_until(lambda: moves_of(arm) > 0.05)
    arm.stop()
    simulator.inject(reflex="joint_reflex")
    wait_until(lambda: arm.get_state().mode == "fault")
    state = arm.get_state()
    assert state.faults == ("joint_reflex",)
    assert state.stop is not None
    require_recovery(arm, simulator)


def test_b7_a_reflex_of_a_stopped_arm_at_rest_is_told_and_one_call_recovers(arm, simulator):
    arm.stop()
    rest(arm)
    assert arm.get_state().mode == "stopped"
    simulator.inject(reflex="cartesian_reflex")
    wait_until(lambda: arm.get_state().mode == "fault")
    assert arm.get_state().faults == ("cartesian_reflex",)
    require_recovery(arm, simulator)


def test_b7_a_stop_of_an_arm_in_a_reflex_is_kept_and_one_call_recovers(arm, simulator):
    simulator.inject(reflex="joint_reflex")
    wait_until(lambda: arm.get_state().mode == "fault")
    since_s = arm.get_state().fault_since_s
    arm.stop()
    state = arm.get_state()
    assert (state.mode, state.faults, state.fault_since_s) == ("fault", ("joint_reflex",), since_s)
    assert state.stop is not None
    require_recovery(arm, simulator)


def test_m9_the_same_packet_keeps_its_stamp(arm, simulator):
    wait_until(lambda: arm._require_link().is_in_control)
    simulator.inject(is_paused=True)
    stamps_s = [arm.get_state().stamp_s for _ in range(5)]
    before_s = time.monotonic()
    simulator.inject(is_paused=False)
    assert len(set(stamps_s[1:])) == 1
    assert stamps_s[-1] < before_s
    wait_until(lambda: arm.get_state().stamp_s > stamps_s[-1])


def test_a_stop_and_a_state_wait_for_no_connection_that_hangs():
    """The box accepts, and says nothing."""
    with socket.socket() as silent:
        silent.bind(("127.13.251.7", 1337))
        silent.listen()
        robot = rk.make_robot("franka", **robot_options("127.13.251.7"))
        errors: list[Exception] = []

        def connect() -> None:
            try:
                robot.connect()
            except rk.RobotkitError as error:
                errors.append(error)

        thread = threading.Thread(target=connect)
        thread.start()
        start_s = time.monotonic()
        robot.stop()
        with pytest.raises(rk.NotConnected):
            robot.get_state()
        assert time.monotonic() - start_s < 2.0
        assert thread.is_alive()
        thread.join(20.0)
    assert isinstance(errors[0], rk.ConnectionFailed)
    assert "no answer in 5 s" in errors[0].message


class _SettlingLink:
    """An arm near its goal at 0 whose first joint is at `position_rad(time)`, while its speed signal is noise."""

    def __init__(self, position_rad: object) -> None:
        self._position_rad = position_rad
        self.time_s = 0.0

    def read(self) -> SimpleNamespace:
        self.time_s += 0.005
        joints = np.zeros(7)
        joints[0] = self._position_rad(self.time_s)
        return SimpleNamespace(q=joints, dq=np.full(7, 0.08), time=SimpleNamespace(to_sec=lambda: self.time_s))


@pytest.mark.parametrize(
    ("position_rad", "settles"),
    [
        (lambda time_s: 0.001 * np.sin(60.0 * time_s), True),  # up to 0.06 rad/s, and nowhere to go
        (lambda time_s: 0.3 * np.exp(-5.0 * time_s), True),
        (lambda time_s: -0.015 + 0.04 * time_s if time_s < 0.8 else 0.05, False),  # it only passes by
        (lambda time_s: 0.03, False),
    ],
    ids=["trembles", "creeps", "passes", "stands-elsewhere"],
)
def test_f13_an_arm_has_arrived_when_it_has_stood_near_its_goal_for_a_while(position_rad, settles):
    link, travel = _SettlingLink(position_rad), Travel(ArmMachine("arm", lambda: 0.0))
    if settles:
        wait_until_settled(link, np.zeros(7), 0.02, travel)
        assert link.time_s >= 0.1
    else:
        with pytest.raises(rk.MotionFailed, match="from its goal at joint 1"):
            wait_until_settled(link, np.zeros(7), 0.02, travel)
