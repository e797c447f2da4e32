"""Logger: one stream of metrics, fanned out to JSON lines, TensorBoard and Weights & Biases."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from rl.errors import ConfigError
from rl.utils.log_packages import missing_log_package
from rl.utils.run_directory import WANDB_ID

logger = logging.getLogger(__name__)

_X_AXIS = "env_steps"


class Sink(Protocol):
    """Somewhere that metrics go."""

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take the metrics of a step."""
        ...

    def close(self) -> None:
        """Write what waits, and close the output."""
        ...


class Logger:
    """Turns metrics into plain numbers, once, and hands them to every sink.

    Until here metrics stay tensors, so that a training step never waits for its own statistics. A sink that the system
    refuses, because of a full disk, loses metrics and ends no training; that is said once, until it takes some again.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = list(sinks)
        self._refused: set[int] = set()

    def __enter__(self) -> Logger:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def log(self, step: int, metrics: Mapping[str, Any]) -> dict[str, float]:
        """Log nested metrics (`{"critic": {"loss": tensor}}` becomes `critic/loss`) and return them as numbers.

        Raises:
            ConfigError: a metric is not a single number.
        """
        numbers = to_floats(metrics)
        for number, sink in enumerate(self._sinks):
            try:
                sink.write(step, numbers)
                self._refused.discard(number)
            except OSError as error:
                if number not in self._refused:
                    self._refused.add(number)
                    logger.warning("%s cannot log the metrics: %s. The training goes on", type(sink).__name__, error)
        return numbers

    def add(self, sink: Sink) -> None:
        """Hand the metrics to one more sink from now on."""
        self._sinks.append(sink)

    def close(self) -> None:
        """Close every sink."""
        for sink in self._sinks:
            try:
                sink.close()
            except OSError as error:
                logger.warning("%s lost its last metrics: %s", type(sink).__name__, error)


class JsonLines:
    """One JSON object a line, flushed, so that a killed run keeps its curve; a resumed run appends.

    A metric that is NaN or infinite becomes null: JSON has no word for it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._file = Path(path).open("a", encoding="utf-8")  # noqa: SIM115 closed by close()

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append a line: `step`, `time_s` (seconds since 1970) and the metrics."""
        finite = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        self._file.write(json.dumps({"step": step, "time_s": time.time(), **finite}) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TensorBoard:
    """Scalars for TensorBoard."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        # Importing TensorBoard takes a second: only who asks for it pays.
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError as error:
            raise missing_log_package("tensorboard") from error

        self._writer = SummaryWriter(str(directory), flush_secs=30)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add one scalar a metric."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close."""
        self._writer.close()


class WandB:
    """A run at Weights & Biases; the same one again when the run in the directory is continued.

    Evaluations are logged at a step that is in the past already, which its own step counter would drop: the x-axis is a
    metric, `env_steps`.

    Args:
        project: of the run.
        directory: of the run here, which keeps the id of the one there.
        config: the run's settings.

    Raises:
        MissingExtra: the package is not installed.
    """

    def __init__(
        self, project: str, *, directory: str | os.PathLike[str], config: Mapping[str, Any] | None = None
    ) -> None:
        try:
            import wandb
        except ImportError as error:
            raise missing_log_package("wandb") from error
        kept = Path(directory) / WANDB_ID
        new = {"project": project, "dir": str(directory), "config": dict(config or {})}
        again = {"id": kept.read_text().strip(), "resume": "must"} if kept.is_file() else {}
        try:
            self._run = wandb.init(**new, **again)
        except wandb.Error as error:
            if not again:
                raise
            logger.warning(
                "Weights & Biases does not go on with run %s, which may have been deleted there: %s. A new one is made",
                *(again["id"], error),
            )
            self._run = wandb.init(**new)
        kept.write_text(f"{self._run.id}\n")
        self._run.define_metric(_X_AXIS)
        self._run.define_metric("*", step_metric=_X_AXIS)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics at this step."""
        self._run.log({**metrics, _X_AXIS: step})

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()


def make_logger(
    directory: str | os.PathLike[str],
    *,
    name: str = "metrics",
    tensorboard: bool = True,
    wandb_project: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> Logger:
    """A logger with its files in a run's directory.

    Args:
        directory: the run's directory.
        name: the JSON lines go to `<name>.jsonl`, TensorBoard's files to `tensorboard/<name>`.
        tensorboard: write for TensorBoard too.
        wandb_project: also log to this project of Weights & Biases.
        config: the run's settings, for Weights & Biases.
    """
    sinks: list[Sink] = []
    if wandb_project is not None:  # first, because it may fail and the others open files
        sinks.append(WandB(wandb_project, directory=directory, config=config))
    sinks.append(JsonLines(Path(directory) / f"{name}.jsonl"))
    if tensorboard:
        sinks.append(TensorBoard(Path(directory) / "tensorboard" / name))
    return Logger(sinks)


def to_floats(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Nested metrics to flat names and floats; all tensors of a device cross over in one copy.

    Raises:
        ConfigError: a metric is not a single number.
    """
    flat = dict(_flatten(metrics, ""))
    tensors = {name: value for name, value in flat.items() if isinstance(value, torch.Tensor)}
    return flat | _tensors_to_floats(tensors)


def _flatten(metrics: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in metrics.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found.extend(_flatten(value, f"{name}/"))
        elif isinstance(value, torch.Tensor) and value.numel() == 1:
            found.append((name, value))
        elif not isinstance(value, (torch.Tensor, str)) and np.ndim(value) == 0 and value is not None:
            found.append((name, float(value)))
        else:
            raise ConfigError(f"the metric {name} is no single number: {value!r}")
    return found


def _tensors_to_floats(tensors: Mapping[str, torch.Tensor]) -> dict[str, float]:
    by_device: dict[torch.device, list[str]] = {}
    for name, tensor in tensors.items():
        by_device.setdefault(tensor.device, []).append(name)
    numbers: dict[str, float] = {}
    for names in by_device.values():
        stacked = torch.stack([tensors[name].detach().reshape(()).to(torch.float64) for name in names])
        numbers.update(zip(names, stacked.tolist(), strict=True))
    return numbers
