"""Pictures of several cameras side by side, each with its name."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

_TILE_PX = 320
_LABEL_PX = 20
_BACKGROUND = (32, 32, 32)


def contact_sheet(pictures: Mapping[str, np.ndarray]) -> np.ndarray:
    """One picture, uint8 (height, width, 3), with a tile of 320 x 340 pixels for each of `pictures`.

    Args:
        pictures: uint8 (height, width, 3) by name; at least one. Each keeps its proportions.
    """
    from PIL import Image, ImageDraw

    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (columns * _TILE_PX, rows * (_TILE_PX + _LABEL_PX)), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for index, (name, rgb) in enumerate(pictures.items()):
        row, column = divmod(index, columns)
        left, top = column * _TILE_PX, row * (_TILE_PX + _LABEL_PX)
        draw.text((left + 4, top + 4), name.encode("ascii", "replace").decode(), fill=(255, 255, 255))
        scale = _TILE_PX / max(rgb.shape[:2])
        size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
        sheet.paste(Image.fromarray(rgb).resize(size), (left, top + _LABEL_PX))
    return np.asarray(sheet)
