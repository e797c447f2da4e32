"""Frames as the feature maps of a frozen encoder, computed once for all epochs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch

from rl.common.encoding import MAP, EncodingWrapper
from rl.common.shifted_maps import draw_shifts, shifted_maps
from rl.offline.frame_sets import FrameSet

_DTYPE = np.dtype(np.float16)


def is_kept(images: Iterable[str]) -> bool:
    """True if these are the names of kept maps, and not of cameras."""
    return any(name.endswith(MAP) for name in images)


@torch.no_grad()
def keep_maps(encoder: EncodingWrapper, frames: FrameSet, shifts: int, padding: int, seed: int) -> FrameSet:
    """The frames with float16 maps (N, shifts, height', width', C), by camera + `MAP`, instead of images.

    Args:
        encoder: its trunk must be frozen.
        frames: what is encoded.
        shifts: maps of each frame and camera: the first of the image as it is, each other one of it shifted at random.
        padding: largest shift in pixels.
        seed: of the shifts.
    """
    cameras, generator = encoder.image_keys, np.random.default_rng(seed)
    corners = np.stack([draw_shifts(len(cameras), shifts, padding, generator) for _ in range(len(frames))])
    device = next(encoder.parameters()).device
    maps = shifted_maps(
        lambda images: encoder.encode_maps({key: image.to(device) for key, image in images.items()}),
        {key: frames.images[key] for key in cameras},
        corners,
        padding,
        _DTYPE,
    )
    return replace(frames, images=maps)
