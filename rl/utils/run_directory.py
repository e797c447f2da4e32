"""The directory of one run: claimed once, continued only on request."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl.errors import CheckpointError, CheckpointNotFound, RunExists

_MARKER = "run.json"


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


def _create(marker: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    text = json.dumps(facts, indent=2)
    try:
        marker.parent.mkdir(parents=True, exist_ok=True)
        with marker.open("x") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise RunExists(
            f"{marker.parent} already holds a run: continue it with --resume, or choose another directory with --out"
        ) from error
    except OSError as error:
        raise CheckpointError(f"cannot start a run in {marker.parent}: {error}") from error
    return dict(json.loads(text))


def _read(marker: Path) -> dict[str, Any]:
    if not marker.is_file():
        raise CheckpointNotFound(f"there is no run in {marker.parent} to resume; start it without --resume")
    try:
        return dict(json.loads(marker.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{marker} cannot be read: {error}") from error
