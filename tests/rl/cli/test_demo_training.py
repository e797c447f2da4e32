"""U14: whatever ends a demonstration, and whenever, no process of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from rl.plots.learning_curve import last_step
from tests.end_to_end.runs import ROOT, SMALL, free_port, wait_for_status
from tests.support.waiting import wait_until

PROGRAM = """
import sys
from pathlib import Path
from rl.cli.demonstration.training import end_on_signals, run_training
end_on_signals()
run_training(sys.argv[2:], Path(sys.argv[1]), 100_000, is_full=True)
"""


def left_of(out: Path) -> list[str]:
    """Command lines of the processes that belong to a run and are not the program itself."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and "-c" not in words and str(out) in " ".join(words):
            found.append(" ".join(words))
    return found


def has_started(out: Path, port: int) -> None:
    wait_until(lambda: bool(left_of(out)), 60.0)


def has_processes(out: Path, port: int) -> None:
    wait_until(lambda: len(left_of(out)) > 2, 90.0)


def learns(out: Path, port: int) -> None:
    wait_for_status(port, lambda found: found["progress"]["updates"] > 0, 90.0)


@pytest.mark.parametrize(
    ("end", "moment"),
    [(signal.SIGTERM, has_started), (signal.SIGINT, has_processes), (signal.SIGTERM, learns), (signal.SIGKILL, learns)],
)
def test_u14_no_process_is_left(tmp_path: Path, end: signal.Signals, moment: Callable[[Path, int], None]):
    out, port = tmp_path / "run", free_port()
    options = (*SMALL, "--evaluation.every-steps", 0, "--link.port", port)
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, out, *map(str, options)], cwd=ROOT, stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        moment(out, port)
        program.send_signal(end)
        assert program.wait(90.0) == (-end if end == signal.SIGKILL else 128 + end)
    finally:
        program.kill()
        program.wait()
    if end == signal.SIGKILL:
        wait_until(lambda: not left_of(out), 90.0)
    assert not left_of(out)


def test_the_last_step_is_that_of_the_last_line_of_its_run(tmp_path: Path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 10, "a": 1}\n{"step": 30, "a": 1}\n{"step": 20, "b": 1}\n')
    assert last_step(tmp_path / "metrics.jsonl") == 30
