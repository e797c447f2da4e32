"""The commands that learn from files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rl.cli.command import BaseConfig, Command
from rl.evaluation.mine_options import MineOptions, RetrainOptions
from rl.offline import bc_options, classifier_options
from rl.offline.bc_options import TrainBcOptions
from rl.offline.classifier_options import TrainClassifierOptions
from rl.offline.settings import SettingsFile
from rl.utils.run_directory import asked_directory
from rl.utils.subprocesses import Stop

Options = TypeVar("Options")

_BC_HEADINGS = {
    "What is learned": ("demos", "out", "env", "cell", "frame_stack", "sees_images", "resume", "seed"),
    "How": ("epochs", "batch_size", "held_out", "bc.hidden_dims", "bc.crop_padding", "bc.encoder.encoder_type"),
    "Where": ("checkpoint_every", "workers", "device", "threads"),
}
_CLASSIFIER_HEADINGS = {
    "What is learned": ("positives", "negatives", "classes", "out", "image_keys", "resume", "seed"),
    "How": ("epochs", "batch_size", "held_out", "most_false_positives", "crop_padding", "cached_shifts",
            "encoder.encoder_type", "encoder.pretrained_path", "encoder.pretrained_sha256"),
    "Where": ("checkpoint_every", "workers", "device", "threads"),
}  # fmt: skip


def train_bc(options: TrainBcOptions, stop: Stop) -> None:
    """Clone demonstrations."""
    from rich.console import Console

    from rl.offline import bc

    bc.train_bc(options, stop, Console())


def train_classifier(options: TrainClassifierOptions, stop: Stop) -> None:
    """Train a reward classifier."""
    from rich.console import Console

    from rl.offline import classifier

    facts = classifier.train_classifier(options, stop, Console())
    if facts is not None:
        classifier.require_better_than_chance(facts)


def mine(options: MineOptions, stop: Stop) -> None:
    """Mine a run for the errors of its reward classifier."""
    from rich.console import Console

    from rl.evaluation.mine import mine as run

    run(options, Console())


def retrain(options: RetrainOptions, stop: Stop) -> None:
    """Train a reward classifier again, on mined frames too."""
    from rl.evaluation.mine import retrain_options

    train_classifier(retrain_options(options), stop)


def on_settings(settings: SettingsFile[Options]) -> Callable[[list[str]], BaseConfig[Options]]:
    """Return the function that finds a base: with --resume the options that the run in --out began with."""

    def find_base(arguments: list[str]) -> BaseConfig[Options]:
        out, resumes = asked_directory(arguments)
        if out is not None and resumes and settings.is_in(out):
            return BaseConfig(arguments, settings.read(out))
        return BaseConfig(arguments)

    return find_base


BC = Command("clone demonstrations", TrainBcOptions, train_bc, on_settings(bc_options.SETTINGS), _BC_HEADINGS)
CLASSIFIER = Command(
    "train a reward classifier on labelled frames",
    TrainClassifierOptions,
    train_classifier,
    on_settings(classifier_options.SETTINGS),
    _CLASSIFIER_HEADINGS,
)
MINE = Command("find frames that a run was paid for wrongly", MineOptions, mine)
RETRAIN = Command("train a reward classifier again, on mined frames too", RetrainOptions, retrain)
