"""`CloneOfRun`: where the clone of demonstrations lies that a training in this process corrects."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
from rich.console import Console

from rl.config import TrainConfig
from rl.errors import ConfigError
from rl.training.base_checkpoint import CheckpointBase, StoredPolicy
from rl.training.base_policies import find_residual
from rl.training.demo_clone import clone_demos, has_clone, require_no_clone, say_settings
from rl.utils.run_directory import CLONE
from rl.utils.subprocesses import Stop
from rl.wrappers.residual import BasePolicy, Residual


class CloneOfRun:
    """The clone of a run that starts from demonstrations; nothing for other runs.

    A new run makes it with its environment, in a temporary directory: it belongs to no run's directory before one is
    written. Each directory that the run is saved to gets a copy.

    Args:
        config: of the run.
        stored: directory of the run that is continued; None for a new one.
        stop: ends the waits for a base policy that is served.
    """

    def __init__(self, config: TrainConfig, stored: Path | None, stop: Stop) -> None:
        self._stop = stop
        self._config, self._home, self._saved = config, stored, stored
        self._delete: Callable[[], object] | None = None
        if config.from_demos and stored is None:
            self._home = Path(tempfile.mkdtemp(prefix="robotkit-clone-"))
            self._delete = weakref.finalize(self, shutil.rmtree, self._home, ignore_errors=True)

    def placed(self, config: TrainConfig) -> TrainConfig:
        """A configuration of the run that says where its clone lies.

        Raises:
            ConfigError: it is gone, because the run was closed and not saved.
        """
        if not config.from_demos:
            return config
        if self._home is None:
            raise ConfigError(
                "the clone that this agent corrects is gone, because it was closed before it was saved: do this before "
                "close(), or save() it first"
            )
        return replace(config, out=self._home)

    def residual(self) -> Residual | None:
        """The residual of the run, whose base policy is made with its environment; None where it has no base.

        Raises:
            ConfigError: there is no such base policy.
            CheckpointNotFound: the run or its clone is not there.
        """
        config = self.placed(self._config)
        is_new = bool(config.from_demos) and self._saved is None and not has_clone(config.directory() / CLONE)
        return Residual(self._make, config.residual) if is_new else find_residual(config, self._stop)

    def require_room(self, directory: Path) -> None:
        """Raise `RunExists` when something is in the way of the clone in a directory that a run is first written to."""
        if self._config.from_demos:
            require_no_clone(directory)

    def copy_to(self, directory: Path) -> None:
        """Write the clone into a directory of the run, where it is not there yet."""
        if self._config.from_demos and not (directory / CLONE).exists():
            draft = directory / f".{CLONE}"
            shutil.rmtree(draft, ignore_errors=True)
            shutil.copytree(self.placed(self._config).directory() / CLONE, draft)
            draft.replace(directory / CLONE)
        self._saved = directory

    def close(self) -> None:
        """Delete the temporary directory."""
        if self._delete is not None:
            self._home = self._saved
            self._delete()

    def _make(self, raw: gym.Env[Any, Any], adapted: gym.Env[Any, Any]) -> BasePolicy:
        config = self.placed(self._config)
        clone, spaces = config.directory() / CLONE, (adapted.observation_space, adapted.action_space)
        clone_demos(config, config.from_demos, clone, self._stop, Console(quiet=True), spaces)
        say_settings(config)
        return CheckpointBase(StoredPolicy.find(clone), raw, config.adaptation())
