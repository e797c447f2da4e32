"""Messages of a camera."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from robotkit.schema.message import Message
from robotkit.schema.numbers import shown


class Pixels:
    """Annotation for an image: an array that is not copied.

    Args:
        dtype: of each number.
        channels: length of the third axis; None for an image of two axes.
    """

    def __init__(self, dtype: str, channels: int | None = None) -> None:
        self._dtype = np.dtype(dtype)
        self._channels = channels

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(np.ndarray.tolist, when_used="json"),
        )

    def validate(self, value: Any) -> np.ndarray:
        """Return `value`.

        Raises:
            ValueError: it is no such image.
        """
        axes = () if self._channels is None else (self._channels,)
        if isinstance(value, np.ndarray):
            if value.dtype == self._dtype and value.ndim == 2 + len(axes) and value.shape[2:] == axes:
                return value
            got = f"{value.dtype} of shape {value.shape}"
        else:
            got = shown(value)
        shape = ", ".join(["height", "width", *map(str, axes)])
        raise ValueError(f"expected an array of {self._dtype}, shape ({shape}), got {got}")


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
    rgb: Annotated[np.ndarray, Pixels("uint8", channels=3)]
    """uint8, shape (height, width, 3)."""
    depth_m: Annotated[np.ndarray, Pixels("float32")] | None = None
    """float32, shape (height, width), aligned to `rgb`."""
