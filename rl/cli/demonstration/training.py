"""`robotkit-train train` as a step of a program: it ends when it has learned, and with the program."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from rl.cli.demonstration.learner_command import run_command

SUCCESS = 0.95
"""Success rate that ends a demonstration, in two evaluations in a row."""


def end_on_signals() -> None:
    """Let SIGTERM and Ctrl+C end this program as an exception does, so that what it started ends too."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def run_training(options: Sequence[str], out: Path, steps: int | None, *, is_full: bool) -> float:
    """Run actor, learner and evaluator as processes of their own.

    Args:
        options: of `robotkit-train train`.
        out: directory of the run.
        steps: environment steps at most; None for the preset's number.
        is_full: take them all, instead of ending when the policy has learned.

    Returns:
        The minutes that it took.

    Raises:
        SystemExit: it failed.
    """
    ends = () if is_full else ("--evaluation.stop-at-success", str(SUCCESS))
    limit = () if steps is None else ("--steps", str(steps))
    began_s = time.monotonic()
    status = run_command("train", *options, *limit, *ends, "--out", str(out))
    if status:
        raise SystemExit(f"training ended with exit status {status}; its logs are in {out / 'logs'}")
    return (time.monotonic() - began_s) / 60.0
