"""A signal at any moment of a start ends the process without a traceback and leaves nothing behind.

The moment is the import of a module: the process sends the signal to itself when it is about to load it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.runs import ROOT

PROGRAM = """
import os, sys

moment, number = sys.argv[1], int(sys.argv[2])

class SendSignal:
    def find_spec(self, name, path=None, target=None):
        if name == moment:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), number)

sys.meta_path.insert(0, SendSignal())
sys.argv[1:] = sys.argv[3:]
from rl.__main__ import main
main()
"""


def end_of(moment: str, number: signal.Signals, *words: str) -> subprocess.CompletedProcess[str]:
    """How a command ends that gets a signal at a moment."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, moment, str(int(number)), *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "moment", "number"),
    [
        ("train", "rl.cli.table", signal.SIGINT),
        ("train", "tyro", signal.SIGTERM),
        ("train", "rl.training.supervisor", signal.SIGINT),
        ("learner", "rl.cli.table", signal.SIGTERM),
        ("learner", "rl.cli.training", signal.SIGINT),
        ("learner", "torch", signal.SIGTERM),
        ("actor", "tyro", signal.SIGINT),
    ],
)
def test_a_signal_while_a_command_starts_ends_it(command: str, moment: str, number: signal.Signals, tmp_path: Path):
    out = tmp_path / "run"
    where = () if command == "actor" else ("--out", str(out))
    ended = end_of(moment, number, command, *where)
    is_loading = moment == "rl.cli.table"  # before a command is known, the system ends the process by itself
    assert ended.returncode == (-number if is_loading else 0)
    assert "Traceback" not in ended.stderr
    assert not out.exists()


def test_ctrl_c_while_a_command_that_saves_nothing_starts_is_no_traceback(tmp_path: Path):
    ended = end_of("gymnasium", signal.SIGINT, "evaluate", "--out", str(tmp_path))
    assert ended.returncode == 130
    assert "Traceback" not in ended.stderr
