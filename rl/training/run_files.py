"""RunFiles: a run's directory as a training in this process writes it, the same files as the commands write."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from rl.config import TrainConfig, save_config
from rl.data.journal import TransitionJournal, copy_blocks
from rl.errors import ConfigError
from rl.link.messages import AgentSpec
from rl.utils.checkpoint import Checkpoints
from rl.utils.run_directory import CHECKPOINTS, CONFIG, JOURNAL, SPEC, claim_run, hold_run


class RunFiles:
    """A directory that this process alone writes, from its construction until it is closed.

    Args:
        directory: of the run; made when it is missing.
        config: what started the run; a new directory keeps it.
        spec: of its environment.
        resume: go on with the run that is there.

    Raises:
        RunExists: the directory holds another run, or another process works there.
        CheckpointNotFound: there is no run to go on with.
        CheckpointError: the directory cannot be written.
    """

    def __init__(self, directory: Path, config: TrainConfig, spec: AgentSpec, *, resume: bool) -> None:
        self.directory = directory
        self._keep = config.keep_checkpoints
        claim_run(directory, resume=resume, facts={"env": config.env, "preset": config.preset})
        with ExitStack() as stack:
            stack.enter_context(hold_run(directory, timeout_s=0.0))
            self._save_config(config)
            (directory / SPEC).write_text(spec.model_dump_json(indent=2) + "\n")
            self.journal = stack.enter_context(TransitionJournal(directory / JOURNAL))
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def checkpoints(self) -> Checkpoints:
        """The run's checkpoints."""
        return Checkpoints(self.directory / CHECKPOINTS, keep=self._keep)

    def save(self, config: TrainConfig, journal: TransitionJournal, updates: int, state: Mapping[str, Any]) -> Path:
        """Write the configuration, the transitions of `journal` that are not here yet, and then a checkpoint.

        Raises:
            JournalError, CheckpointError: the disk refuses.
        """
        self._save_config(config)
        if journal is not self.journal:
            copy_blocks(journal, self.journal)
        return self.checkpoints.save(updates, state)

    def _save_config(self, config: TrainConfig) -> None:
        save_config(replace(config, out=self.directory), self.directory / CONFIG)

    def close(self) -> None:
        """Leave the directory to others."""
        self._stack.close()


def find_run(path: Path) -> tuple[Path, Path]:
    """The run's directory, and the checkpoints or the one checkpoint in it, that a path names.

    Raises:
        ConfigError: there is no run.
    """
    if path.name == CHECKPOINTS:
        directory, checkpoint = path.parent, path
    elif path.parent.name == CHECKPOINTS:
        directory, checkpoint = path.parent.parent, path
    else:
        directory, checkpoint = path, path / CHECKPOINTS
    if not (directory / CONFIG).is_file():
        raise ConfigError(
            f"there is no run at {path}: give the directory that save() or `robotkit-train train --out` wrote, or a "
            f"checkpoint {CHECKPOINTS}/step_… in it"
        )
    return directory, checkpoint
