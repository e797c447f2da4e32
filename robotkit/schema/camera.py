"""Messages of a camera."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, PlainSerializer, SkipValidation

from robotkit.schema.message import Message

Pixels = Annotated[SkipValidation[np.ndarray], PlainSerializer(np.ndarray.tolist, when_used="json")]


class Intrinsics(Message):
    """Pinhole parameters, in pixels of the delivered image."""

    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float


class CameraSpec(Message):
    """The specification of a camera, known before it is connected."""

    name: str
    width_px: int = Field(gt=0)
    height_px: int = Field(gt=0)
    intrinsics: Intrinsics | None = None


class Frame(Message):
    """One image. Over the wire it travels as raw or PNG bytes, never as JSON."""

    stamp_s: float
    """When it was exposed, on the cell's clock."""
    rgb: Pixels
    """uint8, shape (height, width, 3)."""
    depth_m: Pixels | None = None
    """float32, shape (height, width), aligned to `rgb`."""
