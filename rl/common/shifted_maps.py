"""Feature maps of images that were shifted in several ways, computed once, to be kept instead of the images."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from rl.common.encoding import MAP
from rl.vision.data_augmentations import random_crop

_ROWS = 64  # images in one pass of the network

Encode = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
"""Replaces stacks of one image (N, 1, height, width, channels) by feature maps, as `EncodingWrapper.encode_maps`."""


def draw_shifts(cameras: int, shifts: int, padding: int, generator: np.random.Generator) -> np.ndarray:
    """Crop corners (cameras, shifts, 2), of which the first change nothing and the others are uniform."""
    corners = generator.integers(0, 2 * padding + 1, (cameras, shifts, 2))
    corners[:, 0] = padding
    return corners


def shifted_maps(
    encode: Encode, images: Mapping[str, np.ndarray], corners: np.ndarray, padding: int, dtype: np.dtype
) -> dict[str, np.ndarray]:
    """Feature maps (N, shifts, height', width', C), by camera + `MAP`, of images (N, height, width, channels).

    Args:
        encode: runs the frozen network.
        images: by camera, uint8.
        corners: of the crops, (N, cameras, shifts, 2).
        padding: see `random_crop`.
        dtype: of the maps.
    """
    count, _, shifts, _ = corners.shape
    rows = max(1, _ROWS // shifts)
    parts = [
        _maps(encode, images, corners, slice(start, start + rows), padding, dtype) for start in range(0, count, rows)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _maps(
    encode: Encode, images: Mapping[str, np.ndarray], corners: np.ndarray, rows: slice, padding: int, dtype: np.dtype
) -> dict[str, np.ndarray]:
    shifts = corners.shape[2]
    shifted = {}
    for index, (key, image) in enumerate(images.items()):
        copies = torch.from_numpy(image[rows]).repeat_interleave(shifts, dim=0)
        corner = torch.from_numpy(corners[rows, index]).reshape(-1, 2)
        shifted[key] = random_crop(copies, padding=padding, crop_from=corner)[:, None]
    maps = encode(shifted)
    kept = {key + MAP: maps[key + MAP].float().cpu().numpy().astype(dtype) for key in images}
    return {name: array.reshape(-1, shifts, *array.shape[1:]) for name, array in kept.items()}
