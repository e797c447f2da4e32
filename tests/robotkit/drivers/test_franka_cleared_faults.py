"""Laws of what the Franka driver reads across a recovery: a fault of before is not latched after it."""

from __future__ import annotations

import threading

import pytest

from tests.faults.arms import put_under
from tests.faults.scheduler import every_schedule
from tests.support.franka_bench import Bench
from tests.support.recording_arm import InThread


@pytest.fixture
def bench(monkeypatch):
    built = Bench(monkeypatch)
    built.robot.connect()
    yield built
    built.robot.disconnect()


def test_b6_a_packet_of_before_a_recovery_is_no_fault_after_it(bench, monkeypatch):
    robot = bench.robot
    bench.arm.break_down("cartesian_reflex")
    assert robot.get_state().mode == "fault"
    link, is_read, go_on = robot._require_link(), threading.Event(), threading.Event()
    names_of = link.names_of

    def names_late(state: object) -> tuple[str, ...]:
        is_read.set()
        assert go_on.wait(20.0)
        return names_of(state)

    monkeypatch.setattr(link, "names_of", names_late)
    reader = InThread(robot.get_state)
    assert is_read.wait(20.0)
    monkeypatch.setattr(link, "names_of", names_of)
    robot.recover()
    go_on.set()
    assert reader.join() is None
    assert (robot.machine.mode, robot.machine.fault) == ("holding", None)


@pytest.mark.parametrize("before", ["fault", "stop"])
def test_b6_how_a_motion_ended_before_a_recovery_is_no_fault_after_it(monkeypatch, before):
    count = 0
    for scheduler in every_schedule():
        with pytest.MonkeyPatch.context() as patch:
            bench = Bench(patch)
            robot = bench.robot
            robot.connect()
            if before == "stop":
                robot.stop()
            bench.arm.break_down("cartesian_reflex")
            put_under(robot, scheduler)
            errors = scheduler.run(("recover", robot.recover), ("look", robot.get_state))
            assert errors == {"recover": None, "look": None}
            assert (robot.machine.mode, robot.machine.fault) == ("holding", None)
            robot.disconnect()
        count += 1
    assert count > 1
