"""Checkpoints: all of a run's state, written so that a crash at any moment leaves the previous one usable.

A checkpoint is a directory `step_<12 digits>` with `state.pt` (torch's format, read back with `weights_only=True`, so
no code can hide in it) and `manifest.json` (size and SHA-256 of the state). It is written under a hidden name, flushed
to the disk and renamed: a directory with the final name is complete; the checksum tells if the disk damaged it later.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rl.errors import CheckpointError, CheckpointNotFound

FORMAT_VERSION = 1

_LOGGER = logging.getLogger(__name__)
_STATE = "state.pt"
_MANIFEST = "manifest.json"


class Checkpoints:
    """The checkpoints of one run; one process writes them.

    Args:
        directory: where they are; made when the first one is saved.
        keep: how many of the newest stay.
    """

    def __init__(self, directory: str | os.PathLike[str], *, keep: int = 3) -> None:
        if keep < 1:
            raise CheckpointError(f"at least one checkpoint must be kept, not {keep}")
        self.directory = Path(directory)
        self.keep = keep

    def save(self, step: int, state: Mapping[str, Any]) -> Path:
        """Write a checkpoint and drop the oldest ones.

        Args:
            step: the run's counter; saving the same step again replaces it.
            state: nested dicts, lists and tuples of tensors, numbers, strings, bools and None.

        Raises:
            CheckpointError: the state holds something that could not be read back or is not finite, or the disk
                refuses.
        """
        _check_plain(state, "state")
        if name := find_non_finite(state):
            raise CheckpointError(f"{name} is not finite: such a state is not saved, the checkpoints before it stay")
        final = self._path(step)
        draft = self.directory / f".{final.name}.draft"
        try:
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            torch.save(dict(state), draft / _STATE)
            _write_manifest(draft, step)
            _flush(draft / _STATE, draft / _MANIFEST, draft)
            if final.exists():
                final.rename(self.directory / f".{final.name}.replaced")
            draft.rename(final)
            _flush(self.directory)
            self._prune()
        except (OSError, RuntimeError) as error:  # torch says a full disk by a RuntimeError
            shutil.rmtree(draft, ignore_errors=True)  # its half would keep the disk full
            raise CheckpointError(f"cannot write the checkpoint {final}: {error}") from error
        return final

    def steps(self) -> list[int]:
        """Steps of the checkpoints that look complete, oldest first."""
        return sorted(
            int(path.parent.name.removeprefix("step_"))
            for path in self.directory.glob(f"step_{'[0-9]' * 12}/{_MANIFEST}")
        )

    def load(self, step: int | None = None, *, map_location: torch.device | str = "cpu") -> tuple[int, dict[str, Any]]:
        """Read a checkpoint; without `step` the newest one that is undamaged.

        Returns:
            Its step and its state.

        Raises:
            CheckpointNotFound: there is none, or none that is undamaged.
            CheckpointError: the one asked for is damaged.
        """
        if step is not None:
            if not self._path(step).is_dir():
                raise CheckpointNotFound(f"{self.directory} has no checkpoint of step {step}; it has {self.steps()}")
            return step, _read(self._path(step), map_location)
        for candidate in reversed(self.steps()):
            try:
                return candidate, _read(self._path(candidate), map_location)
            except CheckpointError as error:
                _LOGGER.warning("%s; trying the one before", error)
        raise CheckpointNotFound(
            f"there is no usable checkpoint in {self.directory}: give the directory of a run that has saved one"
        )

    def _path(self, step: int) -> Path:
        return self.directory / f"step_{step:012d}"

    def _prune(self) -> None:
        for step in self.steps()[: -self.keep]:
            shutil.rmtree(self._path(step))
        for leftover in self.directory.glob(".step_*"):
            shutil.rmtree(leftover)


def load_checkpoint(path: Path) -> tuple[int, dict[str, Any]]:
    """Read the checkpoint `step_…` at `path`, or the newest undamaged one of a directory of them.

    Raises:
        CheckpointNotFound: there is none.
        CheckpointError: the one at `path` is damaged.
    """
    found = re.fullmatch(r"step_(\d+)", path.name)
    return Checkpoints(path.parent).load(int(found[1])) if found else Checkpoints(path).load()


@contextmanager
def refusing_other_networks() -> Iterator[None]:
    """Raise `CheckpointError` where the state of a checkpoint is loaded into other networks than it is of."""
    try:
        yield
    except (RuntimeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"the checkpoint is that of an agent with other networks: {reason[:300]}. A run keeps its environment and "
            "its networks: leave out the options that change them"
        ) from error


def checkpoint_digest(path: Path) -> str:
    """The SHA-256 of the state in the checkpoint `step_…` at `path`, as its manifest has it.

    Raises:
        CheckpointError: the manifest cannot be read.
    """
    try:
        return str(json.loads((path / _MANIFEST).read_text())["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"the checkpoint {path} is damaged: {error}") from error


def find_non_finite(state: Any, name: str = "") -> str | None:
    """The name of the first tensor or array that holds NaN or infinity; None when every number is finite."""
    if isinstance(state, Mapping):
        parts = [(f"{name}.{key}" if name else str(key), inner) for key, inner in state.items()]
    elif isinstance(state, (list, tuple)):
        parts = [(f"{name}[{index}]", inner) for index, inner in enumerate(state)]
    else:
        is_tensor = isinstance(state, torch.Tensor) and state.is_floating_point()
        is_array = isinstance(state, np.ndarray) and state.dtype.kind == "f"
        is_sound = not (is_tensor or is_array) or bool((state - state == 0).all())  # NaN and inf give NaN
        return None if is_sound else name
    return next((found for inner_name, inner in parts if (found := find_non_finite(inner, inner_name))), None)


def _write_manifest(directory: Path, step: int) -> None:
    state = directory / _STATE
    manifest = {
        "format_version": FORMAT_VERSION,
        "step": step,
        "bytes": state.stat().st_size,
        "sha256": _digest(state),
        "torch": torch.__version__,
    }
    (directory / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def _read(directory: Path, map_location: torch.device | str) -> dict[str, Any]:
    try:
        manifest = json.loads((directory / _MANIFEST).read_text())
        if manifest["format_version"] != FORMAT_VERSION:
            raise CheckpointError(
                f"{directory} has format {manifest['format_version']}, this program reads {FORMAT_VERSION}"
            )
        if manifest["sha256"] != _digest(directory / _STATE):
            raise CheckpointError(f"the checkpoint {directory} is damaged: its checksum does not match")
        state: dict[str, Any] = torch.load(directory / _STATE, map_location=map_location, weights_only=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"the checkpoint {directory} is damaged: {error}") from error
    if name := find_non_finite(state):
        raise CheckpointError(f"the checkpoint {directory} is of no use: {name} is not finite")
    return state


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(*paths: Path) -> None:
    """Wait until files and directory entries are on the disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _check_plain(value: Any, name: str) -> None:
    """Refuse at writing what `weights_only=True` would refuse at reading, when it is too late."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_plain(inner, f"{name}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            _check_plain(inner, f"{name}[{index}]")
    elif type(value) not in (int, float, str, bool, bytes, type(None)) and not isinstance(value, torch.Tensor):
        raise CheckpointError(f"{name} is a {type(value).__name__}; a checkpoint holds tensors and plain values only")
