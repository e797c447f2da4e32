"""Fits a camera's image to the shape that a task observes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from robotkit import InvalidConfiguration


@dataclass(frozen=True)
class ImageView:
    """A part of one camera's picture; several views may use the same camera."""

    camera: str
    """Name of the camera in the cell."""
    top: float = 0.0
    """Edges as shares of the image's height and width, counted from its upper left corner, so that a view means the
    same at every resolution."""
    bottom: float = 1.0
    left: float = 0.0
    right: float = 1.0

    def __post_init__(self) -> None:
        if not (0.0 <= self.top < self.bottom <= 1.0 and 0.0 <= self.left < self.right <= 1.0):
            raise InvalidConfiguration(
                f"a view has 0 <= top < bottom <= 1 and 0 <= left < right <= 1, got {self.top=}, {self.bottom=}, "
                f"{self.left=}, {self.right=}"
            )

    def cut(self, rgb: np.ndarray) -> np.ndarray:
        """The part of an image, uint8 (height, width, 3), at least one pixel wide and high."""
        height, width = rgb.shape[:2]
        rows = _pixels(self.top, self.bottom, height)
        return rgb[rows, _pixels(self.left, self.right, width)]


def _pixels(start: float, stop: float, size: int) -> slice:
    first = min(round(start * size), size - 1)
    return slice(first, max(first + 1, round(stop * size)))


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
