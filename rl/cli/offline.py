"""The commands that learn from files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rich.console import Console

from rl.cli.command import BaseConfig, Command
from rl.offline import bc, classifier
from rl.offline.bc_options import TrainBcOptions
from rl.offline.classifier_options import TrainClassifierOptions
from rl.offline.settings import SettingsFile
from rl.utils.run_directory import asked_directory
from rl.utils.subprocesses import StopSignal

Options = TypeVar("Options")


def train_bc(options: TrainBcOptions) -> None:
    """Clone demonstrations."""
    bc.train_bc(options, StopSignal().listen(), Console())


def train_classifier(options: TrainClassifierOptions) -> None:
    """Train a reward classifier."""
    classifier.train_classifier(options, StopSignal().listen(), Console())


def _on_settings(settings: SettingsFile[Options]) -> Callable[[list[str]], BaseConfig[Options]]:
    """With --resume, options start from those that the run in --out began with."""

    def find_base(arguments: list[str]) -> BaseConfig[Options]:
        out, resumes = asked_directory(arguments)
        if out is not None and resumes and settings.is_in(out):
            return BaseConfig(arguments, settings.read(out))
        return BaseConfig(arguments)

    return find_base


TRAIN_BC = Command("clone demonstrations", TrainBcOptions, train_bc, _on_settings(bc.SETTINGS))
TRAIN_CLASSIFIER = Command(
    "train a reward classifier on labelled frames",
    TrainClassifierOptions,
    train_classifier,
    _on_settings(classifier.SETTINGS),
)
