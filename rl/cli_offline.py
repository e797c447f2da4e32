"""The commands that learn from files, and those that record what is learned from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import tyro
from rich.console import Console

from rl.errors import DataError
from rl.utils.run_directory import asked_directory
from rl.utils.subprocesses import StopSignal

if TYPE_CHECKING:
    from rl.offline.settings import SettingsFile

Options = TypeVar("Options")


def train_bc(arguments: list[str]) -> None:
    """Clone demonstrations."""
    from rl.offline.bc import SETTINGS, TrainBcOptions
    from rl.offline.bc import train_bc as run

    options = _parse(TrainBcOptions, "train-bc", arguments, SETTINGS)
    run(options, StopSignal().listen(), Console())


def train_classifier(arguments: list[str]) -> None:
    """Train a reward classifier."""
    from rl.offline.classifier import SETTINGS, TrainClassifierOptions
    from rl.offline.classifier import train_classifier as run

    options = _parse(TrainClassifierOptions, "train-classifier", arguments, SETTINGS)
    run(options, StopSignal().listen(), Console())


def record_success(arguments: list[str]) -> None:
    """Record labelled frames."""
    from rl.recording.record_success import RecordSuccessOptions
    from rl.recording.record_success import record_success as run

    options = tyro.cli(RecordSuccessOptions, prog="python -m rl record-success", args=arguments)
    run(options, StopSignal().listen(), Console())


def record_demos(arguments: list[str]) -> None:
    """Record demonstrations."""
    from rl.recording.record_demos import RecordDemosOptions, run_record_demos

    options = tyro.cli(RecordDemosOptions, prog="python -m rl record-demos", args=arguments)
    try:
        run_record_demos(options, Console())
    except KeyboardInterrupt:
        raise DataError(
            f"stopped before the last episode; {options.out} keeps those that are finished: go on with --resume"
        ) from None


def _parse(kind: type[Options], command: str, arguments: list[str], settings: SettingsFile[Options]) -> Options:
    """Parse options; with --resume on top of those that the run in --out began with."""
    out, resumes = asked_directory(arguments)
    prog = f"python -m rl {command}"
    if out is not None and resumes and settings.is_in(out):
        return tyro.cli(kind, prog=prog, args=arguments, default=settings.read(out))
    return tyro.cli(kind, prog=prog, args=arguments)


OFFLINE_COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "train-bc": train_bc,
    "train-classifier": train_classifier,
    "record-success": record_success,
    "record-demos": record_demos,
}
"""By name; each takes the command line after it."""
