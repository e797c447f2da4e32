"""The commands that learn from files, and those that record what is learned from."""

from __future__ import annotations

from collections.abc import Callable

import tyro
from rich.console import Console

from rl.processes import StopSignal


def train_bc(arguments: list[str]) -> None:
    """Clone demonstrations."""
    from rl.offline.bc import TrainBcOptions
    from rl.offline.bc import train_bc as run

    run(tyro.cli(TrainBcOptions, prog="python -m rl train-bc", args=arguments), StopSignal().listen(), Console())


def train_classifier(arguments: list[str]) -> None:
    """Train a reward classifier."""
    from rl.offline.classifier import TrainClassifierOptions
    from rl.offline.classifier import train_classifier as run

    options = tyro.cli(TrainClassifierOptions, prog="python -m rl train-classifier", args=arguments)
    run(options, StopSignal().listen(), Console())


def record_success(arguments: list[str]) -> None:
    """Record labelled frames."""
    from rl.offline.record_success import RecordSuccessOptions
    from rl.offline.record_success import record_success as run

    options = tyro.cli(RecordSuccessOptions, prog="python -m rl record-success", args=arguments)
    run(options, StopSignal().listen(), Console())


def record_demos(arguments: list[str]) -> None:
    """Record demonstrations."""
    from rl.record_demos import RecordDemosOptions, run_record_demos

    run_record_demos(tyro.cli(RecordDemosOptions, prog="python -m rl record-demos", args=arguments), Console())


OFFLINE_COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "train-bc": train_bc,
    "train-classifier": train_classifier,
    "record-success": record_success,
    "record-demos": record_demos,
}
"""By name; each takes the command line after it."""
