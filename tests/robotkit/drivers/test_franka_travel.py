"""Joint motions of a Franka arm, and what ends them: who brakes, and when control begins again."""

from __future__ import annotations

import threading

import franky
import numpy as np
import pytest

import robotkit as rk
from robotkit.devices import Travel
from robotkit.drivers.franka import robot as robots
from tests.robotkit.drivers.test_franka_orders import ASIDE_M, beside, tracked_m
from tests.support.franka_bench import STANDING_M, Bench
from tests.support.waiting import wait_until


@pytest.fixture
def connected(monkeypatch):
    built = Bench(monkeypatch)
    with built.robot:
        yield built


def goal_of(bench: Bench, way_rad: float) -> np.ndarray:
    goal_rad = bench.arm.fields["q"].copy()
    goal_rad[0] += way_rad
    return goal_rad


@pytest.mark.parametrize(
    ("share", "rate_max_hz", "way_rad", "factor"),
    [
        (0.2, np.inf, 0.5, 0.2),
        (0.2, 1.0, 0.262, 0.1),  # 0.262 rad in a second are a tenth of 2.62 rad/s
        (0.2, 2.0, 0.262, 0.2),
        (1.0, 1e-6, 0.262, 1e-3),
        (0.3, 1.0, 0.0, 0.3),
    ],
)
def test_a_joint_motion_is_as_fast_as_configured_and_no_faster_than_allowed(
    monkeypatch, share, rate_max_hz, way_rad, factor
):
    bench = Bench(monkeypatch, joint_relative_dynamics=share)
    with bench.robot:
        goal_rad = goal_of(bench, way_rad)
        bench.robot.move_to_joint_positions(goal_rad, rate_max_hz)
        start, brake, motion, hold = bench.arm.motions
        assert isinstance(brake, franky.TorqueStopMotion)
        np.testing.assert_array_equal(motion.target.position, goal_rad)
        assert motion.relative_dynamics_factor.velocity == pytest.approx(factor)
        assert type(hold) is type(start)
        assert bench.robot.get_state().mode == "holding"


class Motion:
    """A joint motion that has begun, in a thread of its own; the arm travels slowly."""

    def __init__(self, bench: Bench) -> None:
        self.error: rk.RobotkitError | None = None
        bench.arm.travels_slowly = True
        goal_rad = goal_of(bench, 0.5)
        self._thread = threading.Thread(target=self._run, args=(bench.robot, goal_rad))
        self._thread.start()
        wait_until(lambda: isinstance(bench.arm.motions[-1], franky.JointMotion))

    def _run(self, robot: rk.BaseRobotServer, goal_rad: np.ndarray) -> None:
        try:
            robot.move_to_joint_positions(goal_rad)
        except rk.RobotkitError as error:
            self.error = error

    def end(self) -> rk.RobotkitError | None:
        """How it ended."""
        self._thread.join(10.0)
        assert not self._thread.is_alive()
        return self.error


def test_a_joint_motion_that_a_stop_ends_is_braked_and_control_does_not_begin(connected):
    motion = Motion(connected)
    connected.robot.stop()
    assert isinstance(motion.end(), rk.MotionFailed)
    assert isinstance(connected.arm.motions[-1], franky.JointStopMotion)
    assert connected.robot._tracking is None


def test_a_hold_in_a_joint_motion_brakes_it_and_control_begins_when_the_arm_stands(connected):
    robot, arm = connected.robot, connected.arm
    motion = Motion(connected)
    arm.brakes_slowly = True
    robot.hold()
    assert isinstance(arm.motions[-1], franky.JointStopMotion)
    robot.send(beside(connected))
    assert isinstance(motion.end(), rk.MotionFailed)
    assert isinstance(arm.motions[-1], franky.JointStopMotion), "it still brakes"
    arm.is_in_control = arm.brakes_slowly = False
    wait_until(lambda: isinstance(arm.motions[-1], franky.CartesianImpedanceTrackingMotion))
    wait_until(lambda: np.allclose(tracked_m(connected), STANDING_M + ASIDE_M))
    assert robot.get_state().mode == "tracking"


def test_a_target_for_an_arm_that_stands_after_its_brake_begins_control_at_once_and_only_once(connected, monkeypatch):
    """Whoever waits for the rest has not seen it yet."""
    robot, arm, goes_on = connected.robot, connected.arm, threading.Event()
    motion = Motion(connected)
    arm.brakes_slowly = True
    monkeypatch.setattr(robot._require_link(), "wait_for_rest", lambda *given: goes_on.wait(60.0))
    robot.hold()
    motion.end()
    arm.is_in_control = arm.brakes_slowly = False
    try:
        robot.send(beside(connected))
        assert isinstance(arm.motions[-1], franky.CartesianImpedanceTrackingMotion)
        np.testing.assert_allclose(tracked_m(connected), STANDING_M + ASIDE_M)
        count = len(arm.motions)
    finally:
        goes_on.set()
    wait_until(lambda: not any(thread.name == "franka-rest" for thread in threading.enumerate()))
    assert len(arm.motions) == count
    assert robot.get_state().mode == "tracking"


def test_a_reflex_while_a_hold_brakes_is_named_and_nothing_begins_after_it(connected):
    robot, arm = connected.robot, connected.arm
    motion = Motion(connected)
    arm.brakes_slowly = True
    robot.hold()
    motion.end()
    count = len(arm.motions)
    arm.break_down("joint_reflex")
    wait_until(lambda: not any(thread.name == "franka-rest" for thread in threading.enumerate()))
    assert robot.machine.fault.names == ("joint_reflex",)
    assert len(arm.motions) == count


def test_a_stop_after_a_hold_keeps_control_from_beginning_when_the_arm_stands(connected):
    robot, arm = connected.robot, connected.arm
    motion = Motion(connected)
    arm.brakes_slowly = True
    robot.hold()
    robot.stop()
    motion.end()
    count = len(arm.motions)
    arm.is_in_control = arm.brakes_slowly = False
    wait_until(lambda: not any(thread.name == "franka-rest" for thread in threading.enumerate()))
    assert len(arm.motions) == count
    assert robot.get_state().mode == "stopped"


def test_a_stop_that_falls_into_the_beginning_of_control_halts_what_has_begun(connected, monkeypatch):
    """It is back before control begins, and counts after it."""
    robot, arm = connected.robot, connected.arm
    motion, begin, stopped = Motion(connected), robot._begin, threading.Event()

    def begin_late(link: object) -> None:
        threading.Thread(target=lambda: (robot.stop(), stopped.set())).start()
        assert stopped.wait(10.0)
        begin(link)

    arm.brakes_slowly = True
    robot.hold()
    motion.end()
    monkeypatch.setattr(robot, "_begin", begin_late)
    arm.is_in_control = arm.brakes_slowly = False
    wait_until(lambda: isinstance(arm.motions[-1], franky.TorqueStopMotion))
    assert isinstance(arm.motions[-2], franky.CartesianImpedanceTrackingMotion)
    assert robot.get_state().mode == "stopped"


def test_a_hold_forgets_what_was_sent_while_the_arm_braked(connected):
    robot, arm = connected.robot, connected.arm
    motion = Motion(connected)
    arm.brakes_slowly = True
    robot.hold()
    robot.send(beside(connected))
    robot.hold()
    motion.end()
    arm.is_in_control = arm.brakes_slowly = False
    wait_until(lambda: robot._tracking is not None)
    np.testing.assert_allclose(tracked_m(connected), STANDING_M)


def test_a_joint_motion_that_has_lost_its_right_before_it_begins_touches_nothing(connected):
    travel = Travel(connected.robot.machine)
    travel.end("hold()")
    with pytest.raises(rk.MotionFailed, match=r"hold\(\)"):
        connected.robot._travel(goal_of(connected, 0.5), travel)
    assert len(connected.arm.motions) == 1
    assert connected.robot._tracking is not None


def test_a2_a_stop_while_the_arm_is_waited_for_lets_no_joint_motion_begin(connected, monkeypatch):
    """It comes after the last look at the motion's right to move, and before the arm is told to."""
    look = connected.robot._raise_fault

    def look_and_stop(travel: Travel) -> None:
        look(travel)
        connected.robot.stop()

    monkeypatch.setattr(connected.robot, "_raise_fault", look_and_stop)
    with pytest.raises(rk.MotionFailed):
        connected.robot.move_to_joint_positions(goal_of(connected, 0.5))
    assert not any(isinstance(motion, franky.JointMotion) for motion in connected.arm.motions)
    assert connected.robot.get_state().mode == "stopped"


def test_a_hold_at_the_last_moment_keeps_a_joint_motion_from_starting(connected, monkeypatch):
    robot, raise_fault = connected.robot, connected.robot._raise_fault

    def hold_after(travel: Travel) -> None:
        raise_fault(travel)
        robot.hold()

    monkeypatch.setattr(robot, "_raise_fault", hold_after)
    with pytest.raises(rk.MotionFailed, match=r"hold\(\)"):
        robot.move_to_joint_positions(goal_of(connected, 0.5))
    assert not any(isinstance(motion, franky.JointMotion) for motion in connected.arm.motions)
    assert robot._tracking is not None


def test_a_joint_motion_whose_brake_was_refused_is_braked_again_by_its_own_thread(connected, monkeypatch):
    arm, move = connected.arm, connected.arm.move
    motion = Motion(connected)
    refusals = [franky.CommandException("command rejected")]

    def refuse_once(brake: object, asynchronous: bool) -> None:
        if refusals:
            raise refusals.pop()
        move(brake, asynchronous=asynchronous)

    monkeypatch.setattr(arm, "move", refuse_once)
    with pytest.raises(rk.DeviceFault, match="command rejected"):
        connected.robot.hold()
    assert isinstance(motion.end(), rk.MotionFailed)
    wait_until(lambda: connected.robot._tracking is not None)
    assert [type(told) for told in arm.motions[-2:]] == [
        franky.JointStopMotion, franky.CartesianImpedanceTrackingMotion,
    ]  # fmt: skip


def test_a_reflex_in_a_joint_motion_is_what_the_caller_is_told(connected):
    motion = Motion(connected)
    connected.arm.break_down("joint_reflex")
    error = motion.end()
    assert isinstance(error, rk.DeviceFault)
    assert "joint_reflex" in error.message
    assert connected.robot.get_state().faults == ("joint_reflex",)
    assert isinstance(connected.arm.motions[-1], franky.JointMotion), "nothing is started after it"


def test_an_arm_that_does_not_come_to_rest_after_a_hold_is_a_fault(connected, monkeypatch):
    monkeypatch.setattr(robots, "_REST_S", 0.01)
    motion = Motion(connected)
    connected.arm.brakes_slowly = True
    connected.robot.hold()
    motion.end()
    wait_until(lambda: connected.robot.get_state().mode == "fault")
    with pytest.raises(rk.DeviceFault, match="not come to rest"):
        connected.robot.send(rk.PoseCommand(tcp_pose_in_base=[*STANDING_M, 0, 0, 0, 1]))
