"""The line to a Robotiq gripper, poll by poll: nothing runs beside the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest

from robotkit.drivers import robotiq_line
from robotkit.drivers.robotiq_config import RobotiqConfig
from robotkit.drivers.robotiq_line import RobotiqLine
from robotkit.drivers.robotiq_modbus import LineBusy
from tests.support.robotiq_emulator import GripperModel
from tests.support.waiting import wait_until


class DirectLink:
    """A gripper without a line between; `before_write` happens when something is about to be written.

    Counts how often it is opened and closed.
    """

    def __init__(self) -> None:
        self.model = GripperModel(activation_s=1e-3, speed_mm_s=1e6)
        self.before_write: Callable[[], None] = lambda: None
        self.written: list[list[int]] = []
        self.opened = self.closed = 0

    def open(self) -> None:
        self.opened += 1

    def close(self) -> None:
        self.closed += 1

    def write(self, registers: Sequence[int]) -> None:
        self.before_write()
        self.written.append(list(registers))
        self.model.write(0, list(registers))

    def read(self) -> list[int]:
        return self.model.inputs()


def refuse() -> None:
    raise LineBusy("busy")


@pytest.fixture
def link():
    return DirectLink()


@pytest.fixture
def line(link):
    """A line to a gripper that is ready."""
    built = RobotiqLine(RobotiqConfig(command_timeout_s=0.2), time.monotonic)
    built.stopping = threading.Event()
    built._link = link
    built.restart()
    wait_until(lambda: built.poll().phase == "idle")
    link.written.clear()
    return built


def test_f3_a_target_is_written_once_and_confirmed(line, link):
    line.go_to(255)
    for _ in range(3):
        assert line.poll().settled == line.target.number
    assert link.written == [[0x0900, 255, 255 << 8 | 150]]


def test_f3_the_same_target_again_is_confirmed_without_a_write(line, link):
    line.go_to(255)
    line.poll()
    line.go_to(255)
    assert line.poll().settled == line.target.number == 2
    assert len(link.written) == 1


def test_p4_the_same_target_after_another_master_is_written(line, link):
    line.go_to(255)
    line.poll()
    link.model.write(0, [0x0900, 0, 0xFFFF])
    line.go_to(255)
    assert line.poll().inputs.requested_position == 255


def test_p4_the_first_target_is_written_though_the_gripper_stands_there(line, link):
    """Speed and force have no echo."""
    link.model.write(0, [0x0900, 255, 0])
    line.go_to(255)
    line.poll()
    assert link.model.outputs[2] == 255 << 8 | 150


def test_p4_a_target_that_was_refused_counts_as_not_written_though_the_gripper_stands_there(line, link):
    link.model.write(0, [0x0900, 255, 0])
    link.before_write = refuse
    line.go_to(255)
    assert line.poll().settled < line.target.number
    link.before_write = lambda: None
    assert line.poll().settled == line.target.number
    assert link.model.outputs[2] == 255 << 8 | 150


def test_p4_what_was_written_over_another_connection_counts_as_unknown(line, link):
    line.go_to(255)
    line.poll()
    link.model.write(0, [0x0900, 255, 0])
    line.close()
    line.open()
    line.go_to(255)
    line.poll()
    assert link.model.outputs[2] == 255 << 8 | 150
    assert (link.opened, link.closed) == (1, 1)


@pytest.mark.parametrize("trouble", ["power", "fault", "another master"])
def test_f3_nothing_is_written_to_a_gripper_that_is_not_ready(line, link, trouble):
    """The status that the caller saw was older than the trouble."""
    {
        "power": link.model.power_cycle,
        "fault": lambda: setattr(link.model, "fault", 0x0E),
        "another master": lambda: link.model.write(0, [0, 0, 0]),
    }[trouble]()
    line.go_to(255)
    line.poll()
    assert link.written == []
    assert "not ready" in line.lost


def test_f3_a_target_that_comes_while_another_is_written_is_not_taken_for_it(line, link):
    def newer() -> None:
        link.before_write = lambda: None
        line.go_to(0)

    line.go_to(255)
    link.before_write = newer
    assert line.poll().settled < line.target.number
    reading = line.poll()
    assert (reading.settled, reading.inputs.requested_position) == (line.target.number, 0)


def test_f3_the_deadline_of_a_target_begins_when_the_gripper_is_ready(line, link):
    link.model.emergency_stop()
    line.restart(0)
    accepted_s = time.monotonic()
    wait_until(lambda: time.monotonic() - accepted_s > 0.3)
    wait_until(lambda: line.poll().phase == "idle")
    assert line.target.until_s > accepted_s + 0.3 + 0.2


def test_p4_a_target_that_is_written_and_not_yet_echoed_is_not_confirmed(line, link):
    link.model.sample_s = 1e9
    line.go_to(255)
    assert line.poll().settled < line.target.number
    link.model.sample_s = 0.0
    assert line.poll().settled == line.target.number


def test_p5_a_target_does_not_overtake_a_clearing_that_the_controller_has_not_seen(line, link):
    link.model.sample_s = 1e9
    line.restart(255)
    for _ in range(3):
        assert line.poll().inputs.is_ready
    assert link.written == [[0, 0, 255 << 8 | 150]]


def test_p5_a_gripper_that_dropped_out_is_activated_again_only_after_it_has_seen_the_clearing(line, link, monkeypatch):
    """It reports no activation before that too."""
    monkeypatch.setattr(robotiq_line, "_CLEARED_S", 0.0)
    link.model.emergency_stop()
    link.model.sample_s = 1e9
    line.restart()
    for _ in range(3):
        assert line.poll().phase == "clearing"
    link.model.sample_s = 0.0
    wait_until(lambda: line.poll().phase == "idle")
    assert [registers[0] for registers in link.written] == [0, 0x0100]


def test_p5_the_time_of_a_clearing_begins_anew_when_the_gripper_was_activated_in_between(line, link, monkeypatch):
    now_s, cleared, activated = 100.0, [0x0000, 0, 3 << 8], [0x3100, 0, 3 << 8]
    monkeypatch.setattr(robotiq_line, "time", SimpleNamespace(monotonic=lambda: now_s))
    line.restart()
    phases = []
    for status in (cleared, activated, cleared, cleared, cleared):
        link.read = lambda status=status: status
        now_s += 0.06
        phases.append(line.poll().phase)
    assert phases == ["clearing"] * 4 + ["activating"]


def test_f3_an_expired_target_is_not_written(line, link):
    link.before_write = refuse
    line.go_to(255)
    line.poll()
    wait_until(lambda: time.monotonic() > line.target.until_s)
    link.before_write = lambda: None
    line.poll()
    assert link.written == []
    assert "within 0.2 s" in line.lost
    line.go_to(0)
    assert line.lost is None


def test_f3_a_target_is_not_written_once_the_polling_ends(line, link):
    line.go_to(255)
    line.stopping.set()
    assert line.poll().settled < line.target.number
    assert link.written == []


def test_a_target_during_an_activation_waits_for_its_end(line, link):
    link.model.emergency_stop()
    line.restart()
    line.go_to(255)
    assert line.poll().settled < line.target.number
    assert [0x0900, 255, 255 << 8 | 150] not in link.written
    wait_until(lambda: line.poll().settled == line.target.number)
    assert link.written[-1] == [0x0900, 255, 255 << 8 | 150]


def test_f3_a_restart_reports_the_target_that_it_overtakes(line):
    line.go_to(255)
    line.restart()
    assert "activated again" in line.lost
    line.restart()
    assert line.lost is None


def test_an_activation_that_fails_takes_its_target_along(link):
    line = RobotiqLine(RobotiqConfig(activation_timeout_s=0.01), time.monotonic)
    line.stopping, line._link = threading.Event(), link
    link.model.blocked = True
    line.restart(0)
    wait_until(lambda: line.poll().phase == "failed")
    assert "did not become ready" in line.lost
    assert [0x0900, 0, 255 << 8 | 150] not in link.written


def test_a_target_is_accepted_by_one_thread_at_a_time(line, monkeypatch):
    accept, was_owned = line._accept, []
    monkeypatch.setattr(line, "_accept", lambda raw: (was_owned.append(line._changed._is_owned()), accept(raw)))
    line.go_to(255)
    line.restart(0)
    assert was_owned == [True, True]
