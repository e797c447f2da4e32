"""Laws of the log of a server's process: what of it is written, whole, and once."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from robotkit.aside import ASIDE
from servers import log
from tests.support.recording_arm import fail_with


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, bytes]]]:
    """What is written, by a process whose log is aside for as long as the test lasts."""
    written: list[tuple[int, bytes]] = []

    def write(file: int, content: bytes) -> int:
        written.append((file, content[:9]))
        return len(content[:9])

    monkeypatch.setattr(log, "os", SimpleNamespace(write=write))
    for place, name in ((ASIDE, "write"), (threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(place, name, getattr(place, name))
    root, handlers = logging.getLogger(), list(logging.getLogger().handlers)
    yield written
    root.handlers[:] = handlers
    logging.captureWarnings(False)


def _line(level: int, text: str, name: str = "a.name") -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 0, text, None, None)


def test_a_line_that_is_taken_in_pieces_is_written_to_its_end(process: list[tuple[int, bytes]]) -> None:
    log._Stderr().write(_line(logging.ERROR, "a line of more than nine characters, and \u00e9\udce9"))
    assert {file for file, _ in process} == {2}
    assert b"".join(part for _, part in process) == (
        b"ERROR: a line of more than nine characters, and \xc3\xa9\\udce9\n"
    )


def test_a_line_below_the_level_of_its_logger_is_not_written(process: list[tuple[int, bytes]]) -> None:
    logging.getLogger("a.name").setLevel(logging.ERROR)
    try:
        log._Stderr().write(_line(logging.WARNING, "x"))
        assert process == []
        log._Stderr().write(_line(logging.ERROR, "x"))
        assert process
    finally:
        logging.getLogger("a.name").setLevel(logging.NOTSET)


def test_the_log_is_put_aside_once(process: list[tuple[int, bytes]]) -> None:
    log.log_aside()
    write = ASIDE.write
    log.log_aside()
    assert logging.getLogger().handlers.count(ASIDE) == 1
    assert ASIDE.write is write


@pytest.mark.parametrize(("error", "is_told"), [(ValueError("torn"), True), (SystemExit(1), False)])
def test_a_thread_that_fails_is_told_and_one_that_ends_itself_is_not(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, is_told: bool
) -> None:
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(log._log, "error", lambda text, name, exc_info: told.append((text % name, str(exc_info))))
    monkeypatch.setattr(threading, "excepthook", log._log_end_of_thread)
    thread = threading.Thread(target=fail_with(error), name="worker")
    thread.start()
    thread.join(20.0)
    assert told == ([("the thread worker failed", "torn")] if is_told else [])
