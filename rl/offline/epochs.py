"""The loop of offline training: epochs with metrics, a progress bar, checkpoints and an exact continuation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from rich.console import Console
from torch.utils.data import DataLoader

from rl.common.typing import Batch, Metrics
from rl.errors import CheckpointNotFound, ConfigError
from rl.offline.rows import EpochOrder, on_device
from rl.utils.checkpoint import Checkpoints, refusing_other_networks
from rl.utils.distributed import ProcessGroup
from rl.utils.logger import make_logger
from rl.utils.progress import show_progress
from rl.utils.run_directory import CHECKPOINTS
from rl.utils.seeds import Seeds
from rl.utils.subprocesses import Stop


class Learner(Protocol):
    """The protocol of an object that is trained in epochs."""

    device: torch.device

    def update(self, batch: Batch) -> Metrics:
        """Do one update, and return its metrics."""
        ...

    def reseed(self, seed: int) -> None:
        """Start the random streams of the updates again."""
        ...

    def join(self, group: ProcessGroup) -> None:
        """Average gradients over a process group, after its main process broadcast its state."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a continuation needs."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from there."""
        ...


@dataclass(frozen=True)
class EpochsConfig:
    """The number of epochs, and the interval between checkpoints.

    Raises:
        ConfigError: a number is out of range.
    """

    epochs: int
    """Passes over the data."""
    seed: int
    """Seed of the draws in the updates; each epoch and each process has its own stream."""
    checkpoint_every: int = 20
    """Epochs between two checkpoints; the last epoch is always saved."""
    keep_checkpoints: int = 3
    """Newest checkpoints that stay."""
    begin: int = 0
    """Epochs of trainings before this one in the same run, none of which it continues."""

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        for name in ("epochs", "checkpoint_every", "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise ConfigError(f"--{name.replace('_', '-')} must be at least 1, not {getattr(self, name)}")


@dataclass(frozen=True)
class EpochContext:
    """The objects and settings that the loop uses.

    Args:
        loader: this process's batches of an epoch.
        order: decides the order of each epoch.
        validate: computes the metrics of the held-out rows.
        directory: the run's directory.
        group: the processes; the main one writes.
        console: for the progress bar.
    """

    loader: DataLoader[Batch]
    order: EpochOrder
    validate: Callable[[], Mapping[str, Any]]
    directory: Path
    group: ProcessGroup
    console: Console


def run_epochs(learner: Learner, config: EpochsConfig, context: EpochContext, stop: Stop) -> int:
    """Train from the newest checkpoint of this training to the last epoch, or until the user ends the training.

    An epoch depends on its number and on the state before it alone, so a run that was stopped and continued ends where
    an undisturbed one ends.

    Returns:
        Epochs that are done.
    """
    group, checkpoints = context.group, Checkpoints(context.directory / CHECKPOINTS, keep=config.keep_checkpoints)
    done = _restore(learner, checkpoints, group, config.begin)
    with Reporter(context, checkpoints, config, done) if group.is_main else nullcontext() as reporter:
        while done < config.epochs and not _agreed(stop, learner.device, group):
            context.order.set_epoch(done)
            learner.reseed(Seeds(config.seed).integer(f"epoch {done} of process {group.rank}"))
            metrics = run_epoch(learner, context.loader)
            done += 1
            if reporter is not None:
                reporter.report(learner, done, metrics)
    if group.is_main and done not in (config.begin, *checkpoints.steps()):
        save(checkpoints, learner, done)
    group.wait()
    return done


def require_same_networks(learner: Learner, directory: Path) -> None:
    """Raise `CheckpointError` where a run has a checkpoint of other networks; the learner gets its state otherwise.

    It is asked before the options of a run that is continued are written: its checkpoints are read with them.
    """
    with suppress(CheckpointNotFound):
        _, state = Checkpoints(directory / CHECKPOINTS).load(map_location=learner.device)
        with refusing_other_networks():
            learner.load_state_dict(state["agent"])


def say_how_to_go_on(command: str, directory: Path, done: int, epochs: int, console: Console) -> None:
    """Tell the user who stopped a training how to continue it."""
    console.print(
        f"stopped after {done} of {epochs} epochs; go on with: robotkit-train {command} --out {directory} --resume",
        highlight=False,
        soft_wrap=True,
    )


def run_epoch(learner: Learner, loader: Iterable[Batch]) -> Metrics:
    """One pass over the batches.

    Returns:
        The means of the metrics, still on the device.
    """
    steps = [learner.update(on_device(batch, learner.device)) for batch in loader]
    return {name: torch.stack([step[name] for step in steps]).mean() for name in steps[0]}


def save(checkpoints: Checkpoints, learner: Learner, done: int) -> None:
    """Write a checkpoint, numbered by its epochs."""
    checkpoints.save(done, {"agent": learner.state_dict(), "epochs": done})


class Reporter:
    """The work of the main process after an epoch: metrics, progress, checkpoints.

    Args:
        context: objects and settings of the loop.
        checkpoints: where they go.
        config: how often.
        done: epochs that are done already.
    """

    def __init__(self, context: EpochContext, checkpoints: Checkpoints, config: EpochsConfig, done: int) -> None:
        self._context = context
        self._checkpoints = checkpoints
        self._config = config
        self._logger = make_logger(context.directory, tensorboard=False)
        self._done = done

    def __enter__(self) -> Reporter:
        with ExitStack() as stack:
            stack.callback(self._logger.close)
            self._show = stack.enter_context(
                show_progress(self._context.console, "epochs", self._config.epochs, self._done)
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def report(self, learner: Learner, done: int, metrics: Metrics) -> None:
        """Report after `done` epochs, of which the last had these metrics."""
        found = self._logger.log(done, {"train": metrics, "held_out": self._context.validate()})
        words = "  ".join(f"{name} {value:.4g}" for name, value in found.items() if not name.endswith("/lr"))
        self._show(done, words)
        if done % self._config.checkpoint_every == 0:
            save(self._checkpoints, learner, done)


def _restore(learner: Learner, checkpoints: Checkpoints, group: ProcessGroup, begin: int) -> int:
    """Epochs of the newest checkpoint after `begin`, whose state every process has afterwards; `begin` without one."""
    done = torch.full((), begin, dtype=torch.int64, device=learner.device)
    if group.is_main:
        try:
            _, state = checkpoints.load(map_location=learner.device)
        except CheckpointNotFound:
            state = {"epochs": 0}
        if state["epochs"] > begin:
            learner.load_state_dict(state["agent"])
            done.fill_(state["epochs"])
    learner.join(group)
    group.broadcast([done])
    return int(done)


def _agreed(stop: Stop, device: torch.device, group: ProcessGroup) -> bool:
    """Whether any process was asked to stop: they must leave the loop together."""
    wish = torch.tensor(float(stop.is_set()), device=device)
    return bool(group.average([wish])[0] > 0)
