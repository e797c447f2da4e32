"""The directory of one run: its files, its claim by a new run, its resume, and the lock of the learner that uses it."""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rl.errors import CheckpointError, CheckpointNotFound, RunExists
from rl.utils.option_words import by_caller, option
from rl.utils.subprocesses import Stop

logger = logging.getLogger(__name__)

CONFIG = "config.json"
CHECKPOINTS = "checkpoints"
METRICS = "metrics.jsonl"
LOGS = "logs"
JOURNAL = "transitions.sqlite"
"""File of every transition that the learner received."""
SPEC = "spec.json"
"""File of what the first actor told of its environment."""
LEARNER_URL = "learner.url"
"""File with the address at which the learner listens."""
LEARNED = "learned.json"
"""File of the result of a run that ended because it had learned; other runs have none."""
BC_SETTINGS = "bc.json"
CLONE = "clone"
"""Directory of the policy that a run has cloned from its demonstrations and corrects; other runs have none."""
HG_DAGGER_SETTINGS = "hg_dagger.json"
"""File of the options of a run of HG-DAgger, beside those of the clone that it trains."""
ROUNDS = "rounds"
"""Log of the rounds of such a run, one line each; its file ends in .jsonl."""
CLASSIFIER_SETTINGS = "settings.json"
CURVE, CONFUSION, WORST = "curve.png", "confusion.png", "worst.png"
"""Pictures of a training from files: metrics over epochs, the confusion matrix, the frames misjudged the worst."""
POSITIVES, NEGATIVES = "positives.sqlite", "negatives.sqlite"
"""Files of labelled frames in the directory of `record success`."""
WANDB_ID = "wandb.id"
"""File with the id of the run at Weights & Biases, under which it goes on."""
EVALUATION = "eval.png"
"""Picture of the episodes that evaluated a checkpoint."""
VIDEOS = "videos"
"""Folder of the videos of evaluations during a training."""

_MARKER = "run.json"
_LOCK = "run.lock"
_POLL_PERIOD_S = 0.2


def asked_directory(arguments: Sequence[str]) -> tuple[Path | None, bool]:
    """The directory that a command line names with --out, and whether it asks to --resume; before it is parsed."""
    look = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    look.add_argument("--out", type=Path)
    look.add_argument("--resume", action="store_true")
    seen, _ = look.parse_known_args(arguments)
    return seen.out, seen.resume


@contextmanager
def hold_run(directory: str | os.PathLike[str], timeout_s: float = 60.0, stop: Stop | None = None) -> Iterator[None]:
    """Keep a run's directory to this process; the system lets it go with the process, however that ends.

    A learner whose `train` was killed needs a moment to save and to leave, so a resume waits for it.

    Args:
        directory: of the run.
        timeout_s: how long to wait for another process.
        stop: ends that wait.

    Raises:
        RunExists: another process still works there.
    """
    deadline_s = time.monotonic() + timeout_s
    with (Path(directory) / _LOCK).open("w") as file:
        while not _locked(file.fileno()):
            if time.monotonic() > deadline_s or (stop is not None and stop.is_set()):
                raise RunExists(
                    f"another process still trains in {directory}: stop it, or choose another directory "
                    f"with {option('out')}"
                )
            logger.info("waiting until another process has left %s", directory)
            time.sleep(_POLL_PERIOD_S)
        yield


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def holds_run(directory: str | os.PathLike[str]) -> bool:
    """True when a run has claimed this directory."""
    return (Path(directory) / _MARKER).exists()


def claim_run(directory: str | os.PathLike[str], *, resume: bool, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Take a directory for a new run, or return to one.

    Args:
        directory: made when it is missing.
        resume: continue the run that is there.
        facts: plain values (env id, configuration) that a new run keeps in its `run.json`.

    Returns:
        The facts of the run: those given, or those of the run that is continued.

    Raises:
        RunExists: the directory holds a run and `resume` is false.
        CheckpointNotFound: there is nothing to resume.
        CheckpointError: the directory cannot be written, or its `run.json` cannot be read.
    """
    marker = Path(directory) / _MARKER
    return _read(marker) if resume else _create(marker, facts)


def release_run(directory: str | os.PathLike[str]) -> None:
    """Give up a claim of a run of which nothing came: its files go, except the logs, and another run may claim it."""
    beside = [JOURNAL + ending for ending in ("-wal", "-shm")]
    for name in (CONFIG, SPEC, LEARNER_URL, METRICS, WANDB_ID, JOURNAL, *beside, _LOCK, _MARKER):
        (Path(directory) / name).unlink(missing_ok=True)
    if not any(Path(directory).iterdir()):
        Path(directory).rmdir()


def _create(marker: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    text = json.dumps(facts, indent=2)
    if marker.parent.exists() and not marker.parent.is_dir():
        raise CheckpointError(f"{marker.parent} is a file, and a run is a directory: choose another {option('out')}")
    try:
        marker.parent.mkdir(parents=True, exist_ok=True)
        with marker.open("x") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise RunExists(
            f"{marker.parent} already holds a run: continue it with {by_caller('--resume', 'load(PATH, out=PATH)')}, "
            f"or choose another directory with {option('out')}"
        ) from error
    except OSError as error:
        raise CheckpointError(f"cannot start a run in {marker.parent}: {error}") from error
    return dict(json.loads(text))


def _read(marker: Path) -> dict[str, Any]:
    if not marker.is_file():
        raise CheckpointNotFound(f"there is no run in {marker.parent} to resume; start it without {option('resume')}")
    try:
        return dict(json.loads(marker.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{marker} cannot be read: {error}") from error
