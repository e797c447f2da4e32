"""Feature maps of a frozen encoder, computed once, which a replay buffer keeps instead of images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from rl.agents.continuous.drq import DrQAgent
from rl.common.shifted_maps import draw_shifts, shifted_maps
from rl.data.frames import FrameEncoding
from rl.data.schema import Field

USERS_ALIKE = 32
"""Transitions in a row whose frames are shifted alike, so that a stack of frames keeps the motion between them."""


def frame_encoding(agent: DrQAgent, images: Mapping[str, Field], seed: int) -> FrameEncoding | None:
    """The encoding that the agent's settings ask for; None when images are to be kept.

    Args:
        agent: its frozen trunk must have its final weights.
        images: shape (height, width, channels) and dtype of one image of each camera.
        seed: of the shifts.
    """
    if agent.config.cached_features == "no":
        return None
    dtype, shifts = np.dtype(agent.config.cached_features), agent.config.cached_shifts

    def encode(frames: Mapping[str, np.ndarray], users: np.ndarray) -> Mapping[str, np.ndarray]:
        seen = {key: frames[key] for key in agent.image_keys}
        corners = kept_corners(agent, users, seed)
        return shifted_maps(lambda shifted: _maps(agent, shifted), seen, corners, agent.config.crop_padding, dtype)

    black = {key: np.zeros((1, *field.shape), field.dtype) for key, field in images.items()}
    probe = encode(black, np.zeros(1, np.int64))
    return FrameEncoding({name: Field(array.shape[2:], dtype) for name, array in probe.items()}, encode, shifts)


def kept_corners(agent: DrQAgent, users: np.ndarray, seed: int) -> np.ndarray:
    """Corners (N, cameras, shifts, 2) of the crops of frames with these first users (N,); the first changes nothing.

    They depend on nothing else, so that a buffer that is filled anew after an interruption holds the same maps.
    """
    config = agent.config
    runs, places = np.unique(users // USERS_ALIKE, return_inverse=True)
    drawn = [
        draw_shifts(
            len(agent.image_keys), config.cached_shifts, config.crop_padding, np.random.default_rng((seed, int(run)))
        )
        for run in runs
    ]
    return np.stack(drawn)[places]


def _maps(agent: DrQAgent, images: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    return agent.frozen_maps({key: image.to(agent.device) for key, image in images.items()})
