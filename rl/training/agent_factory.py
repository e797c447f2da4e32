"""The kinds of agents that `--agent` names: how agent, policy and replay buffer of each are made."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np

from rl.agents.continuous.cached_features import frame_encoding
from rl.agents.continuous.drq import DrQAgent, make_drq_policy
from rl.agents.continuous.drq_config import DrqConfig
from rl.agents.continuous.sac import SACAgent, make_policy
from rl.agents.continuous.sac_hybrid_dual import DrQAgentHybridDualArm
from rl.agents.continuous.sac_hybrid_policy import make_hybrid_pixel_policy
from rl.agents.continuous.sac_hybrid_single import DrQAgentHybridSingleArm
from rl.agents.continuous.sac_policy import SacPolicy
from rl.agents.continuous.vice import VICEAgent
from rl.agents.continuous.vice_config import ViceConfig
from rl.common.typing import Observations
from rl.config import TrainConfig
from rl.data.memory_efficient_replay_buffer import MemoryEfficientReplayBuffer
from rl.data.replay_buffer import ReplayBuffer
from rl.data.schema import FIELDS, GRASP_PENALTY, SCALAR, Field
from rl.errors import ConfigError
from rl.link.messages import AgentSpec, build_space
from rl.training.goals import Batches, GoalBatches, load_goals
from rl.training.run_schedules import with_run_length
from rl.utils.checkpoint import refusing_other_networks
from rl.utils.option_words import by_caller, option
from rl.wrappers.pixel_observation import STATE

logger = logging.getLogger(__name__)

AnyReplayBuffer = ReplayBuffer | MemoryEfficientReplayBuffer


class AgentKind(ABC):
    """Makes what a run of one kind of agent consists of, from its configuration and the actor's description."""

    @abstractmethod
    def make_agent(self, config: TrainConfig, spec: AgentSpec, seed: int, device: str) -> SACAgent:
        """The agent that is trained."""

    @abstractmethod
    def make_policy(self, config: TrainConfig, spec: AgentSpec, seed: int) -> SacPolicy:
        """A policy of its own for a process that acts, on the CPU."""

    @abstractmethod
    def make_buffer(
        self, config: TrainConfig, spec: AgentSpec, agent: SACAgent, capacity: int, seed: int
    ) -> AnyReplayBuffer:
        """A replay buffer whose batches this agent takes."""

    def with_goals(
        self, config: TrainConfig, spec: AgentSpec, batches: Batches, replay: AnyReplayBuffer, seed: int
    ) -> Batches:
        """The batches with what an agent needs beside them that learns its own reward; for the others they stay.

        Raises:
            DataError, JournalError: the goals cannot be read, or show something else.
        """
        return batches


class StateKind(AgentKind):
    """Soft actor-critic on vectors."""

    def make_agent(self, config: TrainConfig, spec: AgentSpec, seed: int, device: str) -> SACAgent:
        """See `AgentKind`."""
        return SACAgent.create_states(*_sizes(spec), with_run_length(config, config.agent), seed=seed, device=device)

    def make_policy(self, config: TrainConfig, spec: AgentSpec, seed: int) -> SacPolicy:
        """See `AgentKind`."""
        return make_policy(*_sizes(spec), config.agent, seed)

    def make_buffer(
        self, config: TrainConfig, spec: AgentSpec, agent: SACAgent, capacity: int, seed: int
    ) -> AnyReplayBuffer:
        """See `AgentKind`."""
        return ReplayBuffer(build_space(spec.observation), build_space(spec.action), capacity, seed=seed)


@dataclass(frozen=True)
class PixelKind(AgentKind):
    """An agent on images and state, with a buffer that holds every image once, or its features."""

    agent: type[DrQAgent]
    policy: Callable[[Observations, int, Any, int], SacPolicy]
    """Makes a policy from an observation, an action's length, settings and a seed."""
    extras: tuple[str, ...] = ()
    """Numbers that its batches hold besides."""

    def make_agent(self, config: TrainConfig, spec: AgentSpec, seed: int, device: str) -> SACAgent:
        """See `AgentKind`."""
        settings = with_run_length(config, pixel_settings(config, spec))
        return self.agent.create_drq(_sample(spec), _sizes(spec)[1], settings, seed=seed, device=device)

    def make_policy(self, config: TrainConfig, spec: AgentSpec, seed: int) -> SacPolicy:
        """See `AgentKind`."""
        return self.policy(_sample(spec), _sizes(spec)[1], pixel_settings(config, spec), seed)

    def make_buffer(
        self, config: TrainConfig, spec: AgentSpec, agent: SACAgent, capacity: int, seed: int
    ) -> AnyReplayBuffer:
        """See `AgentKind`."""
        assert isinstance(agent, DrQAgent)
        cameras, sample = cameras_of(spec), _sample(spec)
        images = {key: Field(sample[key].shape[1:], sample[key].dtype) for key in cameras}
        encoding = frame_encoding(agent, images, seed)
        if encoding is not None:
            kilobytes = encoding.frame_bytes / 1e3
            logger.info("a buffer keeps %d feature maps of each image: %.1f kB a step", encoding.variants, kilobytes)
        try:
            return MemoryEfficientReplayBuffer(
                build_space(spec.observation),
                build_space(spec.action),
                capacity,
                cameras,
                seed=seed,
                extras=dict.fromkeys(self.extras, SCALAR),
                encoding=encoding,
            )
        except MemoryError as error:
            raise ConfigError(
                f"there is no room for the images of {capacity:,} transitions: {error}. Choose a smaller "
                f"{option('replay.capacity')} (the preset drq-demo takes 50,000) or smaller images "
                f"({option('images.size')})"
            ) from error


@dataclass(frozen=True)
class ViceKind(PixelKind):
    """A pixel agent with a classifier of its own, which needs images of success."""

    def make_agent(self, config: TrainConfig, spec: AgentSpec, seed: int, device: str) -> SACAgent:
        """See `AgentKind`."""
        settings = with_run_length(config, pixel_settings(config, spec))
        assert isinstance(settings, ViceConfig)
        return VICEAgent.create_vice(_sample(spec), _sizes(spec)[1], settings, seed=seed, device=device)

    def with_goals(
        self, config: TrainConfig, spec: AgentSpec, batches: Batches, replay: AnyReplayBuffer, seed: int
    ) -> Batches:
        """See `AgentKind`."""
        settings = pixel_settings(config, spec)
        assert isinstance(settings, ViceConfig)
        if settings.encoder.encoder_type != "efficientnet-lite0" and settings.encoder.pretrained_path is None:
            logger.warning(
                "VICE's classifier looks through a ResNet-10 with random weights: give %s",
                option("agent.encoder.pretrained_path"),
            )
        goals = load_goals(config.goals, build_space(spec.observation), settings.classifier_cameras, seed)
        logger.info("%d images of success from %s", len(goals), ", ".join(map(str, config.goals)))
        return GoalBatches(batches, replay, goals, config.batch_size)


KINDS: Mapping[str, AgentKind] = {
    "sac": StateKind(),
    "drq": PixelKind(DrQAgent, make_drq_policy),
    "vice": ViceKind(VICEAgent, make_drq_policy),
    "hybrid-single": PixelKind(DrQAgentHybridSingleArm, make_hybrid_pixel_policy, (GRASP_PENALTY,)),
    "hybrid-dual": PixelKind(DrQAgentHybridDualArm, make_hybrid_pixel_policy, (GRASP_PENALTY,)),
}
"""Kinds of agents, by the names of `AGENT_CONFIGS`."""


def restore_agent(agent: SACAgent, state: Mapping[str, Any]) -> None:
    """Continue an agent from the state of a checkpoint.

    Raises:
        CheckpointError: it is the state of an agent with other networks.
    """
    with refusing_other_networks():
        agent.load_state_dict(state["agent"])


def extra_fields(buffer: AnyReplayBuffer) -> set[str]:
    """Names of the numbers that a buffer holds beyond the six fields of every transition."""
    return {path[0] for path in buffer.schema.fields} - FIELDS


def cameras_of(spec: AgentSpec) -> tuple[str, ...]:
    """The names of an observation's images, as `rl.wrappers.pixel_observation` sorts them.

    Raises:
        ConfigError: there are none.
    """
    space = build_space(spec.observation)
    names = tuple(space.spaces) if isinstance(space, gym.spaces.Dict) else ()
    cameras = tuple(name for name in names if name != STATE)
    if not cameras:
        raise ConfigError(
            "a pixel agent needs images, and the observation of this run has none: choose "
            f"{by_caller('--agent sac', 'rl.SAC')}"
        )
    return cameras


def pixel_settings(config: TrainConfig, spec: AgentSpec) -> DrqConfig:
    """The agent's settings with the cameras named, and with the state switched off where there is none.

    Raises:
        ConfigError: a frozen encoder without weights: what it sees would be random for ever.
    """
    settings = config.pixel_settings()
    assert settings is not None
    config.require_weights()
    encoder = settings.encoder
    has_state = STATE in _sample(spec)
    named = replace(
        encoder, image_keys=encoder.image_keys or cameras_of(spec), use_proprio=encoder.use_proprio and has_state
    )
    return replace(settings, encoder=named)


def _sizes(spec: AgentSpec) -> tuple[int, int]:
    """Length of observation and action, as vectors."""
    return gym.spaces.flatdim(build_space(spec.observation)), gym.spaces.flatdim(build_space(spec.action))


def _sample(spec: AgentSpec) -> dict[str, np.ndarray]:
    """An observation of zeros."""
    space: Any = build_space(spec.observation)
    return {name: np.zeros(inner.shape, inner.dtype) for name, inner in space.spaces.items()}
