"""U14: whatever ends a program that trains or records, nothing that it started goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.runs import ENV, ROOT, SMALL
from tests.support.waiting import wait_until

PROGRAM = """
import sys
from rl.cli.demonstration.learner_command import run_command
run_command(*sys.argv[1:])
"""
TRAIN = ("train", *SMALL, "--steps", "100000000", "--evaluation.every-steps", "0")
RECORD = ("record", "demos", "--env", ENV, "--episodes", "100000000")


def processes_with(word: str) -> set[int]:
    """Processes whose command line holds a word."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes():
                found.add(int(path.parent.name))
        except OSError:  # it has just ended
            continue
    return found


@pytest.mark.parametrize(
    ("command", "count", "end"),
    [
        (TRAIN, 4, signal.SIGTERM),  # the program, train, learner and actor
        (TRAIN, 4, signal.SIGKILL),
        (RECORD, 2, signal.SIGKILL),
    ],
)
def test_u14_nothing_goes_on_without_the_program_that_started_it(
    tmp_path: Path, command: tuple[str, ...], count: int, end: signal.Signals
):
    out = str(tmp_path / "out")
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *command, "--out", out], cwd=ROOT, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        wait_until(lambda: len(processes_with(out)) >= count, 60.0)
        program.send_signal(end)
        program.wait(20.0)
        wait_until(lambda: not processes_with(out), 90.0)
    finally:
        for process in processes_with(out):
            os.kill(process, signal.SIGKILL)
