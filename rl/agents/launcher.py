"""Factories of agents and buffers with SERL's and HIL-SERL's argument names and defaults. Original: utils/launcher.py.

They make agents with SERL's networks and settings, without the faults that docs/serl_differences.md lists;
`config.as_in_serl()` of an agent's configuration restores SERL's behaviour. `rl.data.journal` records transitions, and
`rl.data.demos` reads demonstrations: the RLDS arguments of the original's `make_replay_buffer` are not here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypedDict, TypeVar, Unpack

import gymnasium as gym
import numpy as np
import torch

from rl.agents.continuous.bc import BCAgent
from rl.agents.continuous.bc_config import BcConfig
from rl.agents.continuous.drq import DrQAgent, DrqConfig
from rl.agents.continuous.sac import SACAgent, SacConfig
from rl.agents.continuous.sac_hybrid_config import DualArmConfig, SingleArmConfig
from rl.agents.continuous.sac_hybrid_dual import DrQAgentHybridDualArm
from rl.agents.continuous.sac_hybrid_single import DrQAgentHybridSingleArm
from rl.agents.continuous.vice import VICEAgent
from rl.agents.continuous.vice_config import ViceConfig
from rl.common.encoder_config import EncoderConfig
from rl.common.typing import Observations
from rl.data.memory_efficient_replay_buffer import MemoryEfficientReplayBuffer
from rl.data.replay_buffer import ReplayBuffer
from rl.data.schema import GRASP_PENALTY, SCALAR
from rl.errors import ConfigError

IMAGE_KEYS = ("image",)

ConfigT = TypeVar("ConfigT", bound=DrqConfig)


class PixelSettings(TypedDict, total=False):
    """The settings that HIL-SERL's factories take beside seed and samples."""

    image_keys: Iterable[str]
    """Cameras that are looked at; `image` when not given."""
    encoder_type: str
    """small, resnet or resnet-pretrained, which is the default."""
    reward_bias: float
    """Number added to every reward."""
    target_entropy: float | None
    """Entropy to aim at in nats; by default minus half the count of numbers that the policy chooses."""
    discount: float
    """Discount per step; 0.97 when not given."""
    pretrained_path: str | None
    """Weights of the frozen ResNet-10, see `EncoderConfig`."""
    pretrained_sha256: str | None
    """Checksum of the pretrained weights."""


def _with_settings(config: ConfigT, settings: PixelSettings) -> ConfigT:
    encoder = EncoderConfig(
        settings.get("encoder_type", "resnet-pretrained"),
        tuple(settings.get("image_keys", IMAGE_KEYS)),
        pretrained_path=settings.get("pretrained_path"),
        pretrained_sha256=settings.get("pretrained_sha256"),
    )
    if encoder.encoder_type == "resnet-pretrained" and encoder.pretrained_path is None:
        raise ConfigError(
            "the encoder resnet-pretrained needs its weights, else it sees noise for ever: "
            "pass pretrained_path and pretrained_sha256, or encoder_type='small'"
        )
    return replace(
        config,
        encoder=encoder,
        reward_bias=settings.get("reward_bias", 0.0),
        target_entropy=settings.get("target_entropy"),
        discount=settings.get("discount", 0.97),
    )


def make_sac_agent(
    seed: int, sample_obs: np.ndarray, sample_action: np.ndarray, *, device: str | torch.device = "cpu"
) -> SACAgent:
    """REDQ with 10 critics for observations (D,) and actions (A,) like these samples."""
    observation_dim, action_dim = np.shape(sample_obs)[-1], np.shape(sample_action)[-1]
    return SACAgent.create_states(observation_dim, action_dim, SacConfig(), seed=seed, device=device)


def make_drq_agent(
    seed: int,
    sample_obs: Observations,
    sample_action: np.ndarray,
    image_keys: Iterable[str] = IMAGE_KEYS,
    encoder_type: str = "small",
    *,
    pretrained_path: str | None = None,
    pretrained_sha256: str | None = None,
    device: str | torch.device = "cpu",
) -> DrQAgent:
    """DrQ with 10 critics on the cameras `image_keys` and `state`.

    Args:
        seed: of parameters and noise.
        sample_obs: `state` (T, D) and images (T, height, width, channels).
        sample_action: (A,).
        image_keys: cameras that are looked at.
        encoder_type: small, resnet or resnet-pretrained.
        pretrained_path: weights of the frozen ResNet-10, see `EncoderConfig`.
        pretrained_sha256: their checksum.
        device: where the networks will live.
    """
    encoder = EncoderConfig(
        encoder_type, tuple(image_keys), pretrained_path=pretrained_path, pretrained_sha256=pretrained_sha256
    )
    action_dim = np.shape(sample_action)[-1]
    return DrQAgent.create_drq(sample_obs, action_dim, DrqConfig(encoder=encoder), seed=seed, device=device)


def make_bc_agent(
    seed: int,
    sample_obs: Observations,
    sample_action: np.ndarray,
    image_keys: Iterable[str] = IMAGE_KEYS,
    encoder_type: str = "small",
    *,
    pretrained_path: str | None = None,
    pretrained_sha256: str | None = None,
    device: str | torch.device = "cpu",
) -> BCAgent:
    """Behaviour cloning with a Gaussian policy; the arguments are those of `make_drq_agent`."""
    encoder = EncoderConfig(
        encoder_type, tuple(image_keys), pretrained_path=pretrained_path, pretrained_sha256=pretrained_sha256
    )
    action_dim = np.shape(sample_action)[-1]
    return BCAgent.create(sample_obs, action_dim, BcConfig(encoder=encoder), seed=seed, device=device)


def make_vice_agent(
    seed: int,
    sample_obs: Observations,
    sample_action: np.ndarray,
    image_keys: Iterable[str] = IMAGE_KEYS,
    vice_image_keys: Iterable[str] | None = None,
    encoder_type: str = "small",
    *,
    pretrained_path: str | None = None,
    pretrained_sha256: str | None = None,
    device: str | torch.device = "cpu",
) -> VICEAgent:
    """DrQ with a success classifier on the cameras `vice_image_keys`, by default all; else as `make_drq_agent`."""
    encoder = EncoderConfig(
        encoder_type, tuple(image_keys), pretrained_path=pretrained_path, pretrained_sha256=pretrained_sha256
    )
    config = ViceConfig(encoder=encoder, vice_image_keys=None if vice_image_keys is None else tuple(vice_image_keys))
    return VICEAgent.create_vice(sample_obs, np.shape(sample_action)[-1], config, seed=seed, device=device)


def make_sac_pixel_agent(
    seed: int,
    sample_obs: Observations,
    sample_action: np.ndarray,
    *,
    device: str | torch.device = "cpu",
    **settings: Unpack[PixelSettings],
) -> DrQAgent:
    """HIL-SERL's agent for grippers that stay as they are: DrQ with two critics."""
    config = _with_settings(DrqConfig(critic_ensemble_size=2, critic_subsample_size=None), settings)
    return DrQAgent.create_drq(sample_obs, np.shape(sample_action)[-1], config, seed=seed, device=device)


def make_sac_pixel_agent_hybrid_single_arm(
    seed: int,
    sample_obs: Observations,
    sample_action: np.ndarray,
    *,
    device: str | torch.device = "cpu",
    **settings: Unpack[PixelSettings],
) -> DrQAgentHybridSingleArm:
    """HIL-SERL's agent for one arm that learns to use its gripper, the last number of `sample_action`."""
    config, action_dim = _with_settings(SingleArmConfig(), settings), np.shape(sample_action)[-1]
    return DrQAgentHybridSingleArm.create_drq(sample_obs, action_dim, config, seed=seed, device=device)


def make_sac_pixel_agent_hybrid_dual_arm(
    seed: int,
    sample_obs: Observations,
    sample_action: np.ndarray,
    *,
    device: str | torch.device = "cpu",
    **settings: Unpack[PixelSettings],
) -> DrQAgentHybridDualArm:
    """Make the hybrid pixel agent for two arms; each half of `sample_action` ends with a gripper."""
    config, action_dim = _with_settings(DualArmConfig(), settings), np.shape(sample_action)[-1]
    return DrQAgentHybridDualArm.create_drq(sample_obs, action_dim, config, seed=seed, device=device)


def make_replay_buffer(
    env: gym.Env,
    capacity: int = 1_000_000,
    type: str = "replay_buffer",
    image_keys: Iterable[str] = (),
    *,
    seed: int = 0,
    include_grasp_penalty: bool = False,
) -> ReplayBuffer | MemoryEfficientReplayBuffer:
    """A replay buffer for the spaces of `env`.

    Args:
        env: any environment with `observation_space` and `action_space`.
        capacity: transitions kept.
        type: `replay_buffer`, or `memory_efficient_replay_buffer`, which stores every image once.
        image_keys: images of the latter, with a leading axis of frames.
        seed: of the buffer's draws.
        include_grasp_penalty: whether transitions have the field `grasp_penalty`, which the hybrid agents learn from.

    Raises:
        ConfigError: another type.
    """
    spaces = env.observation_space, env.action_space
    extras = {GRASP_PENALTY: SCALAR} if include_grasp_penalty else None
    match type:
        case "replay_buffer":
            return ReplayBuffer(*spaces, capacity, seed=seed, extras=extras)
        case "memory_efficient_replay_buffer":
            return MemoryEfficientReplayBuffer(*spaces, capacity, image_keys, seed=seed, extras=extras)
        case unknown:
            raise ConfigError(
                f"no replay buffer is named {unknown!r}. Known: replay_buffer, memory_efficient_replay_buffer"
            )
