"""Laws of the state machine by itself: rights to move, stops that race with a recovery, and the lock."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

import robotkit as rk
from robotkit.devices import ArmMachine
from robotkit.devices import machine as machine_module
from robotkit.devices.machine import Travel
from tests.support.recording_arm import InThread


def test_a_stop_waits_for_a_twentieth_of_a_second_and_not_for_ever():
    assert machine_module.STOP_WAIT_S == 0.05
    machine = ArmMachine("arm", lambda: 0.0)
    inside, leave = threading.Event(), threading.Event()

    def hang() -> None:
        with machine.lock:
            inside.set()
            leave.wait(20.0)

    hanging = InThread(hang)
    assert inside.wait(20.0)
    with machine.hurried():
        assert not leave.is_set()
    leave.set()
    hanging.join()
    with machine.hurried():
        assert not InThread(lambda: machine.lock.acquire(timeout=0.01) and pytest.fail("it was free")).join()
    with machine.lock:
        assert InThread(lambda: machine.lock.acquire(timeout=0.01) and pytest.fail("it was free")).join() is None
    assert machine.lock.acquire(blocking=False)


def test_a_motion_that_waited_for_the_lock_asks_once_more_whether_it_may_move():
    machine, moved = ArmMachine("arm", lambda: 0.0), []
    machine.connected(None, machine.disconnections)
    travel = machine.begin_travel()

    def move() -> None:
        with travel.moving():
            moved.append(True)

    with machine.lock:
        mover = InThread(move)
        threading.Event().wait(0.05)
        with machine.being_held("hold()"):
            pass
    assert isinstance(mover.join(), rk.MotionFailed)
    assert moved == []


def test_a_stop_that_comes_when_the_recovery_has_asked_for_the_last_time_is_not_lost():
    machine = ArmMachine("arm", lambda: 0.0)
    machine.connected(None, machine.disconnections)
    record = rk.StopRecord(cause="a reason", author="anna", since_s=0.0)
    machine.note_stop(record)
    require, stops = machine.require_no_stop_since, []

    def require_and_stop(seen: int) -> None:
        require(seen)
        noted = threading.Event()
        stops.append(InThread(lambda: (machine.note_stop(record), noted.set())))
        noted.wait(0.1)

    machine.require_no_stop_since = require_and_stop
    machine.recovered(1)
    assert stops[0].join() is None
    assert machine.mode == "stopped"


def test_a_new_machine_is_not_connected_and_neither_stopped_nor_in_a_fault():
    machine = ArmMachine("arm", lambda: 0.0)
    assert (machine.is_connected, machine.stop, machine.fault, machine.stops) == (False, None, None, 0)
    assert machine.mode == "holding"
    with pytest.raises(rk.NotConnected, match="'arm'"):
        machine.require_ready()


def test_a_second_joint_motion_does_not_end_the_first_one():
    machine = ArmMachine("arm", lambda: 0.0)
    machine.connected(None, machine.disconnections)
    travel, epoch = machine.begin_travel(), machine.epoch
    with pytest.raises(rk.CommandRejected):
        machine.begin_travel()
    assert not travel.is_over
    assert machine.epoch == epoch


def test_the_first_reason_for_which_a_joint_motion_ends_counts():
    machine = ArmMachine("arm", lambda: 0.0)
    machine.connected(None, machine.disconnections)
    travel = machine.begin_travel()
    assert not travel.is_over
    assert not travel.wait(0.0)
    travel.require()
    travel.end("the first")
    travel.end("the second")
    assert travel.is_over
    assert travel.wait(0.0)
    with pytest.raises(rk.MotionFailed, match="before it arrived: the first"):
        travel.require()
    assert not machine.end_travel(travel)


def test_whoever_sees_that_a_motion_has_ended_can_read_why():
    machine = ArmMachine("arm", lambda: 0.0)
    machine.connected(None, machine.disconnections)
    travel, read = machine.begin_travel(), []

    class Watched(Travel):
        def __setattr__(self, name, value):
            if name == "_is_over":
                read.append(self._why)
            super().__setattr__(name, value)

    travel.__class__ = Watched
    travel.end("a reason")
    assert read == ["a reason"]


def test_nothing_takes_the_right_to_move_away_while_the_motion_begins():
    machine = ArmMachine("arm", lambda: 0.0)
    machine.connected(None, machine.disconnections)
    travel = machine.begin_travel()
    with travel.moving():
        assert InThread(lambda: machine.lock.acquire(timeout=0.01) and pytest.fail("it was free")).join() is None
    assert InThread(lambda: machine.lock.acquire(timeout=1.0) or pytest.fail("it is kept")).join() is None


@pytest.mark.parametrize("when", ["before", "after"])
def test_a2_a_stop_from_a_signal_handler_in_the_middle_of_the_clearing_is_the_one_that_is_told(when):
    first, second = (rk.StopRecord(cause=cause, author="anna", since_s=0.0) for cause in ("the first", "the second"))

    class Interrupted(ArmMachine):
        def __setattr__(self, name, value):
            comes = name == "stop" and value is None and getattr(self, "stop", None) is first
            if comes and when == "before":
                self.note_stop(second)
            super().__setattr__(name, value)
            if comes and when == "after":
                self.note_stop(second)

    machine = Interrupted("arm", lambda: 0.0)
    machine.connected(None, machine.disconnections)
    machine.note_stop(first)
    with pytest.raises(rk.RobotStopped, match="a stop came during the recovery"):
        machine.recovered(machine.stops)
    assert machine.stop is second


def test_whoever_sees_a_new_epoch_sees_what_the_arm_does_in_it():
    seen = []

    class Watched(ArmMachine):
        def __setattr__(self, name, value):
            if name == "epoch" and value:
                seen.append(self.activity)
            super().__setattr__(name, value)

    machine = Watched("arm", lambda: 0.0)
    machine.connected(None, machine.disconnections)
    machine.tracking()
    machine.disconnected()
    assert seen == ["holding", "holding"]


def test_a_wait_ends_with_the_motion_and_not_with_its_time():
    machine, answers = ArmMachine("arm", lambda: 0.0), []
    machine.connected(None, machine.disconnections)
    travel = machine.begin_travel()
    waiter = InThread(lambda: answers.append(travel.wait(3600.0)))
    threading.Event().wait(0.05)
    travel.end("a reason")
    assert waiter.join() is None
    assert answers == [True]


def test_whoever_sees_that_a_stop_has_ended_a_motion_is_refused_another():
    machine, stops = ArmMachine("arm", lambda: 0.0), []
    machine.connected(None, machine.disconnections)
    travel, end = machine.begin_travel(), Travel.end
    travel.end = lambda why: (stops.append(machine.stop), end(travel, why))
    record = rk.StopRecord(cause="a reason", author="anna", since_s=0.0)
    machine.note_stop(record)
    assert stops == [record]


def test_a_fault_of_a_connection_that_held_says_nothing_of_the_next_one():
    machine = ArmMachine("arm", lambda: 0.0)
    machine.connected(None, 0)
    machine.failed(replace(machine.fault_of(("guiding",)), is_reported=True))
    machine.disconnected()
    machine.connected(machine.fault_of(("torn",)), 1)
    assert not machine.has_to_stand
    with machine.calls.under_way("set_compliance"):
        assert machine.has_to_stand
