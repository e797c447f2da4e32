"""Feature maps of a frozen encoder, computed once, which a replay buffer keeps instead of images."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch

from rl.agents.continuous.drq import DrQAgent
from rl.common.encoding import MAP
from rl.data.frames import FrameEncoding
from rl.data.schema import Field


def frame_encoding(agent: DrQAgent, images: Mapping[str, Field]) -> FrameEncoding | None:
    """The encoding that the agent's settings ask for; None when images are to be kept.

    Args:
        agent: its frozen trunk must have its final weights.
        images: shape (height, width, channels) and dtype of one image of each camera.
    """
    if agent.config.cached_features == "no":
        return None
    dtype = np.dtype(agent.config.cached_features)
    encode = partial(encode_frames, agent, dtype=dtype)
    probe = encode({key: np.zeros((1, *images[key].shape), images[key].dtype) for key in agent.image_keys})
    return FrameEncoding({name: Field(array.shape[1:], dtype) for name, array in probe.items()}, encode)


def encode_frames(agent: DrQAgent, images: Mapping[str, np.ndarray], dtype: np.dtype) -> dict[str, np.ndarray]:
    """Feature maps (N, height', width', C), by camera + `MAP`, of single images (N, height, width, channels)."""
    frames = {key: torch.from_numpy(images[key])[:, None].to(agent.device) for key in agent.image_keys}
    maps = agent.frozen_maps(frames)
    return {key + MAP: maps[key + MAP].float().cpu().numpy().astype(dtype) for key in agent.image_keys}
