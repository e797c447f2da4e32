"""`CheckpointBase`: the policy of a stored run as a base policy, frozen at one of its checkpoints."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from rl.agents.continuous.sac_policy import SacPolicy
from rl.config import TrainConfig, load_config
from rl.errors import CheckpointError, CheckpointNotFound, ConfigError, RlError
from rl.link.messages import AgentSpec, spec_of
from rl.offline.bc import load_bc_policy
from rl.offline.bc_options import SETTINGS as BC
from rl.offline.bc_options import TrainBcOptions
from rl.training.agent_factory import KINDS, restore_agent
from rl.training.same_run import require_same_spaces
from rl.utils.checkpoint import Checkpoints, checkpoint_digest, load_checkpoint
from rl.utils.option_words import option
from rl.utils.run_directory import CHECKPOINTS, CONFIG, SPEC
from rl.utils.seeds import Seeds
from rl.wrappers.adapter_config import EnvAdapterConfig
from rl.wrappers.make_env import adapt
from rl.wrappers.raw_view import RawView


@dataclass(frozen=True)
class StoredPolicy:
    """A checkpoint, and the settings of its run."""

    checkpoint: Path
    """Its directory `step_…`."""
    config: TrainConfig | TrainBcOptions

    @classmethod
    def find(cls, path: Path) -> StoredPolicy:
        """The newest checkpoint of a run, or the one that a path names.

        Raises:
            ConfigError: there is no run, or its settings cannot be read.
            CheckpointNotFound: it has no checkpoint.
        """
        directory, checkpoint = _split(path)
        if checkpoint is None:
            steps = Checkpoints(directory / CHECKPOINTS).steps()
            if not steps:
                raise CheckpointNotFound(f"the run {directory} has no checkpoint yet: it is no base policy before")
            checkpoint = directory / CHECKPOINTS / f"step_{steps[-1]:012d}"
        if not checkpoint.is_dir():
            raise CheckpointNotFound(
                f"there is no checkpoint {checkpoint}, and {option('base')} needs the one that the run began with: put "
                "it back, or start another run"
            )
        is_clone = BC.is_in(directory)
        return cls(checkpoint, replace(BC.read(directory), out=directory) if is_clone else _config_of(directory))

    @property
    def identity(self) -> str:
        """The checksum of the checkpoint."""
        return checkpoint_digest(self.checkpoint)

    @property
    def adaptation(self) -> EnvAdapterConfig:
        """The adaptation of the environment to the policy; nothing is rewarded there."""
        return replace(self.config.adaptation(), reward_classifier=None)

    def load(self, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> SacPolicy:
        """The policy, for the spaces of an environment that is adapted to it.

        Raises:
            ConfigError: it was trained in an environment with other spaces.
            CheckpointError: the checkpoint is damaged.
        """
        try:
            with torch.random.fork_rng(devices=[]):  # torch fills new layers from it, before they get their own values
                if isinstance(self.config, TrainBcOptions):
                    return load_bc_policy(self.config.out, self.checkpoint, observation_space, action_space)[1]
                return self._trained(self.config, observation_space, action_space)
        except CheckpointError:
            raise
        except (RlError, RuntimeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ConfigError(
                f"the policy at {self.checkpoint} does not fit this environment: {reason}. Choose as "
                f"{option('base')} one that was trained in it"
            ) from error

    def _trained(self, config: TrainConfig, observation_space: Any, action_space: Any) -> SacPolicy:
        spec = AgentSpec(env=config.env, observation=spec_of(observation_space), action=spec_of(action_space))
        stored = config.directory() / SPEC
        if stored.exists():
            require_same_spaces(spec, AgentSpec.model_validate_json(stored.read_bytes()))
        seed = Seeds(config.seed).integer("agent")
        agent = KINDS[config.agent_name].make_agent(config, spec, seed, "cpu")
        restore_agent(agent, load_checkpoint(self.checkpoint)[1])
        return agent.policy


def is_run(path: Path) -> bool:
    """True when a path names a run, or a checkpoint in one."""
    directory, _ = _split(path)
    return BC.is_in(directory) or ((directory / CONFIG).is_file() and not is_lerobot_policy(directory))


def is_lerobot_policy(path: Path) -> bool:
    """True for the directory of a policy that LeRobot has saved."""
    try:
        return "type" in json.loads((path / CONFIG).read_bytes()) and (path / "model.safetensors").is_file()
    except (OSError, ValueError, TypeError):
        return False


def _split(path: Path) -> tuple[Path, Path | None]:
    if path.name == CHECKPOINTS:
        return path.parent, None
    return (path.parent.parent, path) if path.parent.name == CHECKPOINTS else (path, None)


def _config_of(directory: Path) -> TrainConfig:
    stored = replace(load_config(directory / CONFIG), out=directory)
    if stored.corrects_base:
        raise ConfigError(
            f"the run {directory} corrects a base policy itself, and one correction is learned on another policy: "
            f"choose {option('base', stored.base_source)}, or a policy without a base"
        )
    return stored


class CheckpointBase:
    """A stored policy in an environment. It acts without noise, on its own view of the observations.

    Args:
        stored: the policy.
        raw: the environment as it is.
        adaptation: that of the agent which corrects it.

    Raises:
        ConfigError: the policy was trained in an environment with other spaces or another length of actions.
        CheckpointError: the checkpoint is damaged.
    """

    def __init__(self, stored: StoredPolicy, raw: gym.Env, adaptation: EnvAdapterConfig) -> None:
        own = stored.adaptation
        if own.action_repeat != adaptation.action_repeat:
            raise ConfigError(
                f"the policy at {stored.checkpoint} was trained with {option('action_repeat', own.action_repeat)}, and "
                f"its correction has {option('action_repeat', adaptation.action_repeat)}: they act in the same steps"
            )
        seen = adapt(raw, own)
        self.identity = stored.identity
        self.frame_stack = own.frame_stack
        self._policy = stored.load(seen.observation_space, seen.action_space)
        self._view = RawView(raw, seen, own.frame_stack)
        self._newest: deque[Any] = deque(maxlen=own.frame_stack)

    def prepare(self) -> None:
        """See `BasePolicy`."""

    def reset(self, observation: Any) -> None:
        """See `BasePolicy`."""
        self._newest.clear()

    def act(self, observation: Any) -> np.ndarray:
        """See `BasePolicy`."""
        self._newest.append(observation)
        return self.actions(list(self._newest) if self.frame_stack > 1 else observation)

    def actions(self, newest: Any) -> np.ndarray:
        """See `StatelessBase`."""
        return self._policy.sample_actions(self._view.observations(newest)[0], argmax=True)

    def replan(self) -> None:
        """See `BasePolicy`."""

    def close(self) -> None:
        """See `BasePolicy`."""
