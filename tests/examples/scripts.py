"""Starting the examples' scripts as a user does, small enough to take seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from rl.data.journal import TransitionJournal
from rl.utils.run_directory import JOURNAL
from tests.end_to_end.runs import ROOT

EXAMPLES = ROOT / "examples"
SEES_32 = ("--images.size", "32")
SMALL_NETS = (
    *("--no-compile", "--learner-threads", "1", "--agent.encoder.bottleneck-dim", "8", "--agent.hidden-dims", "16"),
    *("--agent.critic-ensemble-size", "2", "--batch_size", "8", "--random_steps", "0", "--training_starts", "20"),
    *("--env-steps-per-update", "4", "--max-lead", "20", "--steps_per_update", "1", "--link.give-up-s", "30", *SEES_32),
)


def start(script: str, *arguments: str | Path | int, log: Path) -> subprocess.Popen[bytes]:
    """Start `examples/<script>` with this Python."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [EXAMPLES / script, *map(str, arguments)],
            env={**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def finish(process: subprocess.Popen[bytes], log: Path, timeout_s: float = 200.0) -> str:
    """Wait for its end, which must be a good one, and read what it said."""
    assert process.wait(timeout_s) == 0, log.read_text()
    return log.read_text()


def stored(out: Path, field: str) -> np.ndarray:
    """A field of all transitions that a run has stored, in order."""
    with TransitionJournal(out / JOURNAL, read_only=True) as journal:
        return np.concatenate([block.transitions[field] for block in journal.blocks()])


def words_of(script: Path | str, folder: Path, *more: str) -> list[str]:
    """What a script hands to Python."""
    shim = folder / "python"
    shim.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    shim.chmod(0o755)
    done = subprocess.run(
        [script, *more], env={**os.environ, "PYTHON": str(shim)}, capture_output=True, text=True, check=True
    )
    return done.stdout.split("\n")[:-1]
