"""Resizes images to the size that an agent observes."""

from __future__ import annotations

import numpy as np
from PIL import Image


def fit_square(image: np.ndarray, size: int | None) -> np.ndarray:
    """Scale (height, width, channels) with a box filter, which does not alias where images shrink."""
    if size is None or image.shape[:2] == (size, size):
        return image
    channels = image[:, :, 0] if image.shape[2] == 1 else image
    scaled = Image.fromarray(channels).resize((size, size), Image.Resampling.BOX)
    return np.asarray(scaled).reshape(size, size, image.shape[2])
