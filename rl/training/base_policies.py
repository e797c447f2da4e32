"""The base policies that `--base` names: a run, an expert, a served policy."""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from rl.config import TrainConfig
from rl.errors import ConfigError
from rl.recording.experts import Expert, load_factory
from rl.training.base_checkpoint import CheckpointBase, StoredPolicy, is_lerobot_policy, is_run
from rl.training.demo_clone import require_clone
from rl.utils.option_words import option
from rl.utils.subprocesses import Stop
from rl.wrappers.make_env import sentence_of
from rl.wrappers.raw_view import RawView
from rl.wrappers.residual import Residual
from rl.wrappers.served_base import ServedBase


def find_residual(config: TrainConfig, stop: Stop | None = None) -> Residual | None:
    """The residual of a run, whose base policy is made with its environment; None where it has no base.

    Args:
        config: of the run.
        stop: ends the waits for a served policy.

    Raises:
        ConfigError: nothing is known by that name.
        CheckpointNotFound: the run has no checkpoint, or the clone of --from-demos is not there.
    """
    source = config.base_source
    if source is None:
        return None
    if config.from_demos:
        require_clone(config.directory())
    path = Path(source)
    if is_run(path):
        stored, adaptation = StoredPolicy.find(path), config.adaptation()
        return Residual(lambda raw, adapted: CheckpointBase(stored, raw, adaptation), config.residual)
    if source.startswith(("ws://", "wss://")):
        return Residual(lambda raw, adapted: ServedBase(source, raw, adapted, config.residual, stop), config.residual)
    if is_lerobot_policy(path):
        raise ConfigError(
            f"{source} is a policy of LeRobot, which needs an older PyTorch than this program: it cannot be loaded "
            "here. Serve it from LeRobot's own environment, as docs/base_policy.md says, and give "
            f"{option('base', 'ws://127.0.0.1:8000')}"
        )
    if ":" in source and not path.exists():
        return Residual(lambda raw, adapted: ExpertBase(source, raw, adapted), config.residual)
    fault = "is there, and no run of bc or train" if path.exists() else "does not exist"
    raise ConfigError(
        f"{option('base', source)} {fault}: give the directory of a run or a checkpoint step_… in it, an expert "
        "module:function, or the address ws://HOST:PORT of a served policy"
    )


def pinned(config: TrainConfig) -> TrainConfig:
    """The configuration of a new run, whose base is one checkpoint, and not the newest one of a run that may go on."""
    if config.base is None or not is_run(Path(config.base)):
        return config
    return replace(config, base=str(StoredPolicy.find(Path(config.base)).checkpoint))


class ExpertBase:
    """An expert as `record demos` takes it.

    Args:
        name: of its factory, `module:function`.
        raw: the environment as it is.
        adapted: the same one as the agent sees it.

    Raises:
        ConfigError: there is no such expert, or it cannot act in this environment.
    """

    def __init__(self, name: str, raw: gym.Env, adapted: gym.Env) -> None:
        factory = load_factory(name)
        try:
            self._expert: Expert = factory(raw)
        except Exception as error:
            said = sentence_of(error)
            if said is None:
                raise
            raise ConfigError(f"the expert {name} cannot act in this environment: {said}") from error
        self.identity = _checksum(name, factory)
        self._view = RawView(raw, adapted, 1)

    def prepare(self) -> None:
        """See `BasePolicy`."""

    def reset(self, observation: Any) -> None:
        """See `BasePolicy`."""
        self._expert.reset(observation)

    def act(self, observation: Any) -> np.ndarray:
        """See `BasePolicy`."""
        return self._view.agent_actions(self._expert.act(observation))

    def replan(self) -> None:
        """See `BasePolicy`."""

    def close(self) -> None:
        """See `BasePolicy`."""


def _checksum(name: str, factory: Any) -> str:
    """The checksum of the file that an expert is written in."""
    file = inspect.getsourcefile(inspect.unwrap(factory))
    source = Path(file).read_bytes() if file else b""
    return hashlib.sha256(name.encode() + b"\n" + source).hexdigest()
