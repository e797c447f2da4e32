"""Several who wait for a Franka arm to come to rest: one begins control between two looks of another."""

from __future__ import annotations

import threading

import pytest

import robotkit as rk
from tests.robotkit.drivers.test_franka_travel import goal_of
from tests.support.franka_bench import Bench
from tests.support.waiting import wait_until


class Looks:
    """How those who wait look at the arm: only who is let sees that no motion runs, the others come too late for it."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting: set[threading.Thread] = set()
        self.let: threading.Thread | None = None
        link = bench.robot._require_link()
        control_time_s = link.control_time_s

        def look() -> float | None:
            me = threading.current_thread()
            self.waiting.add(me)
            if self.let is me:
                bench.arm.is_in_control = bench.arm.brakes_slowly = False
                return None
            return control_time_s() if bench.arm.is_in_control else 0.0

        monkeypatch.setattr(link, "control_time_s", look)

    def named(self, name: str) -> list[threading.Thread]:
        return [thread for thread in self.waiting if thread.name == name]


@pytest.fixture
def tracking(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """An arm that tracks, brakes slowly, and gives up waiting after 0.5 s of its time, which are 25 looks."""
    monkeypatch.setattr("robotkit.drivers.franka.robot._REST_S", 0.5)
    bench = Bench(monkeypatch)
    bench.robot.connect()
    bench.robot.send(rk.PoseCommand(tcp_pose_in_base=bench.robot.get_state().tcp_pose_in_base))
    bench.arm.brakes_slowly = True
    return bench


def test_a_joint_motion_that_a_hold_ends_before_it_begins_misses_no_rest_that_another_has_used(tracking, monkeypatch):
    robot, looks, errors = tracking.robot, Looks(tracking, monkeypatch), []

    def move() -> None:
        try:
            robot.move_to_joint_positions(goal_of(tracking, 0.2))
        except rk.RobotkitError as error:
            errors.append(error)

    mover = threading.Thread(target=move, name="mover")
    mover.start()
    wait_until(lambda: looks.named("mover"))
    robot.hold()
    wait_until(lambda: looks.named("franka-rest"))
    (looks.let,) = looks.named("franka-rest")
    mover.join(10.0)
    assert [type(error) for error in errors] == [rk.MotionFailed]
    wait_until(lambda: robot._tracking is not None)
    assert robot.machine.mode == "holding"
    assert robot.machine.fault is None


def test_of_two_holds_while_the_arm_brakes_neither_takes_the_control_of_the_other_for_an_arm_that_does_not_stand(
    tracking, monkeypatch
):
    robot, looks = tracking.robot, Looks(tracking, monkeypatch)
    with robot.machine.lock:
        robot._end_tracking()
        robot._require_link().brake()
    for count in (1, 2):
        robot.hold()
        wait_until(lambda count=count: len(looks.named("franka-rest")) == count)
    first, second = looks.named("franka-rest")
    looks.let = first
    for thread in (first, second):
        thread.join(10.0)
        assert not thread.is_alive()
    assert robot._tracking is not None
    assert robot.machine.mode == "holding"
    assert robot.machine.fault is None
