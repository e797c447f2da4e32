"""The clone of a task's demonstrations on which a variant learns a correction, trained when it is first needed."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks.learning.tables import RunSpec
from rl.config import TrainConfig
from rl.errors import ConfigError
from rl.training.demo_clone import clone_demos
from rl.utils.subprocesses import StopSignal

CLONE = "clone"
"""Value of the option `base` of a variant that corrects a clone of its own demonstrations."""


def with_clone(spec: RunSpec, config: TrainConfig) -> TrainConfig:
    """The configuration with the directory of the clone as its base, where its variant corrects one.

    It is cloned as `--from-demos` does, from the seed of the run, and kept beside the demonstrations.

    Raises:
        ConfigError: the task has no demonstrations.
    """
    if config.base != CLONE:
        return config
    if spec.demos is None:
        raise ConfigError(f"{spec.name} corrects a clone of demonstrations, and its task has none")
    path = spec.demos.with_name(f"{spec.demos.stem}-clone-{spec.seed}")
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=path.parent) as drafts:
            draft = Path(drafts) / path.name
            clone_demos(config, (spec.demos,), draft, StopSignal(), Console(quiet=True))
            draft.replace(path)
    return replace(config, base=str(path))
