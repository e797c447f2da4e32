"""`AsideHandler`: whoever logs waits for nothing, in any process, at any line; what is dropped is counted and told."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from robotkit.aside import ASIDE, WAITING_MAX, AsideHandler, aside_logger
from robotkit.safety.watch import Watch
from tests.support.interruption import Interruption, interrupted
from tests.support.recording_arm import RecordingArm, fail_with
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
ENOUGH_S = 20.0


class Log:
    """A handler of its own with a logger before it; `written` is what it has written."""

    def __init__(self) -> None:
        self.handler = AsideHandler()
        self.handler.write = self.write
        self.logger = logging.Logger("log")
        self.logger.addHandler(self.handler)
        self.written: list[str] = []
        self.has_begun, self.may_go_on = threading.Event(), threading.Event()
        self.may_go_on.set()

    def write(self, record: logging.LogRecord) -> None:
        self.has_begun.set()
        assert self.may_go_on.wait(ENOUGH_S)
        self.written.append(record.getMessage())


@pytest.fixture
def log() -> Log:
    return Log()


def test_who_logs_does_not_wait_while_nothing_is_written_and_what_is_too_much_is_counted_and_told(log):
    log.may_go_on.clear()
    log.logger.error("first")
    assert log.has_begun.wait(ENOUGH_S)
    for number in range(WAITING_MAX + 3):
        log.logger.error("%d", number)
    assert log.handler.dropped == 3
    assert not log.written
    log.may_go_on.set()
    log.handler.drain(ENOUGH_S)
    first, told, *others = log.written
    assert first == "first"
    assert told == "3 lines of the log were dropped: it was not written on"
    assert others == [str(number) for number in range(WAITING_MAX)]


def test_the_end_of_a_program_waits_so_long_and_no_longer_for_lines_that_are_not_written(log):
    log.handler.drain(ENOUGH_S)  # nothing was ever logged
    log.may_go_on.clear()
    log.logger.error("first")
    log.handler.drain(0.01)
    assert not log.written
    log.may_go_on.set()
    log.handler.drain(ENOUGH_S)
    assert log.written == ["first"]


def test_a_signal_handler_may_log_at_any_line_of_another_line(log):
    line = 0
    while True:
        line += 1
        here = Log()
        signal = Interruption(line, lambda here=here: here.logger.error("handler"), ("/robotkit/", "logging", "queue"))
        assert interrupted(lambda here=here: here.logger.error("thread"), signal) is None
        if not signal.has_come:
            break
        wait_until(lambda here=here: len(here.written) == 2, ENOUGH_S)
        assert sorted(here.written) == ["handler", "thread"]
    assert line > 10, "there were lines to interrupt"


def test_a_line_waits_for_a_process_that_may_start_no_thread_until_it_may(log, monkeypatch):
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr("_thread.start_new_thread", refuse)
        log.logger.error("first")
        log.handler.drain(ENOUGH_S)
    log.logger.error("second")
    log.handler.drain(ENOUGH_S)
    assert log.written == ["first", "second"]


def test_a_fork_begins_a_thread_of_its_own(log, monkeypatch):
    begun: list[object] = []
    monkeypatch.setattr("_thread.start_new_thread", lambda work, arguments: begun.append(work))
    for process in (1, 1, 2):
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        log.logger.error("line")
    assert len(begun) == 2


@pytest.mark.parametrize("error", [OSError("nobody reads"), SystemExit(1)], ids=repr)
def test_what_cannot_be_written_keeps_no_other_line_from_it(log, error):
    write = log.handler.write
    log.handler.write = fail_with(error)
    log.logger.error("first")
    log.handler.drain(ENOUGH_S)
    log.handler.write = write
    log.logger.error("second")
    log.logger.error("%d", "no number")
    log.handler.drain(ENOUGH_S)
    assert log.written[0] == "second"
    assert log.handler.dropped == 2


def test_a_line_says_what_was_so_when_it_was_logged_and_keeps_its_exception(log):
    records: list[logging.LogRecord] = []
    log.handler.write = records.append
    modes, error = ["holding"], ValueError("why")
    log.logger.error("%s", modes, exc_info=error)
    modes[0] = "stopped"
    log.handler.drain(ENOUGH_S)
    (record,) = records
    assert record.getMessage() == "['holding']"
    assert record.exc_info[1] is error


class Elsewhere(logging.Handler):
    """Notes which thread has to write what, and which has logged it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[tuple[str, str, int | None, int]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append((record.name, record.getMessage(), record.thread, threading.get_ident()))


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    handler = Elsewhere()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


def test_levels_and_handlers_are_those_of_the_logger_of_that_name(elsewhere):
    logger = aside_logger("robotkit.of.tests")
    logger.info("too low")
    ASIDE.drain(ENOUGH_S)
    logging.getLogger("robotkit.of.tests").setLevel(logging.INFO)
    logger.info("heard")
    ASIDE.drain(ENOUGH_S)
    assert [text for name, text, *_ in elsewhere.records if name == "robotkit.of.tests"] == ["heard"]


def test_lines_below_the_level_take_no_place_of_others(elsewhere):
    logger, dropped = aside_logger("robotkit.of.loops"), ASIDE.dropped
    has_begun, may_go_on = threading.Event(), threading.Event()
    ASIDE.do(lambda: (has_begun.set(), may_go_on.wait(ENOUGH_S)))
    assert has_begun.wait(ENOUGH_S)
    for _ in range(WAITING_MAX + 1):
        logger.debug("a loop")
    logger.warning("the arm")
    may_go_on.set()
    ASIDE.drain(ENOUGH_S)
    assert ASIDE.dropped == dropped
    assert [text for name, text, *_ in elsewhere.records if name == "robotkit.of.loops"] == ["the arm"]


def test_b6_no_thread_that_has_an_arm_writes_a_line_of_its_log_itself(elsewhere):
    arm = RecordingArm()
    arm.connect()
    arm.get_state()
    arm.on["halt"] = fail_with(OSError("busy"))
    arm.on["measure"] = fail_with(OSError("the cable"))
    assert arm.get_state().mode == "fault"
    arm.on.clear()
    wait_until(lambda: not arm._halts.is_owed, ENOUGH_S)
    watch = Watch({"of tests": fail_with(OSError("a round"))}, None)
    watch.start()
    wait_until(lambda: watch.rounds > 1, ENOUGH_S)
    watch.stop()

    def is_told() -> bool:
        texts = [text for _, text, *_ in elsewhere.records]
        awaited = ("the driver of arm", "did not take a halt", "no halt of arm", "the watch over the arm failed")
        return all(any(part in text for text in texts) for part in awaited)

    wait_until(is_told, ENOUGH_S)
    assert not [line for line in elsewhere.records if line[0].startswith("robotkit.") and line[2] == line[3]]


OWN_LOGGERS = {"robotkit/aside.py", "robotkit/cli", "robotkit/drivers/robotiq_modbus.py", "servers/log.py"}
"""What makes the way aside, a level that is set, and commands: who has typed one waits for its output anyway."""


def test_b6_whatever_may_have_an_arm_logs_aside():
    assert ASIDE in aside_logger("any").handlers
    plain = [
        name
        for package in ("robotkit", "sims", "servers")
        for path in sorted((ROOT / package).rglob("*.py"))
        if "logging.getLogger(" in path.read_text()
        and not (name := str(path.relative_to(ROOT))).startswith(tuple(OWN_LOGGERS))
    ]
    assert not plain, "use robotkit.aside.aside_logger(__name__)"
