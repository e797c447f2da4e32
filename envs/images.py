"""Fitting a camera's image to the shape that a task observes."""

from __future__ import annotations

import numpy as np
from PIL import Image


def fit_image(rgb: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Cut the largest centred part with the wanted aspect ratio and scale it.

    Args:
        rgb: uint8, shape (height, width, 3).
        shape: wanted (height, width) in pixels; an image that has it already is returned as it is.

    Returns:
        uint8, shape (*shape, 3).
    """
    height, width = rgb.shape[:2]
    if (height, width) == shape:
        return rgb
    scale = min(height / shape[0], width / shape[1])
    cut_height, cut_width = shape[0] * scale, shape[1] * scale
    left, top = (width - cut_width) / 2, (height - cut_height) / 2
    # A box filter, because these images mostly shrink: bilinear sampling of four neighbours would alias.
    fitted = Image.fromarray(rgb).resize(
        (shape[1], shape[0]), Image.Resampling.BOX, box=(left, top, left + cut_width, top + cut_height)
    )
    return np.array(fitted)
