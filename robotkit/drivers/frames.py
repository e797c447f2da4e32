"""Crop and resize: the conversion of a captured picture into the frame that a camera delivers."""

from __future__ import annotations

from typing import Self

import cv2
import numpy as np
from pydantic import Field, model_validator

from robotkit.errors import DeviceFault
from robotkit.schema import Intrinsics, PluginConfig


class FrameConfig(PluginConfig):
    """Options of every camera that captures more than it delivers: first the crop is cut out, then it is resized."""

    capture_width_px: int = Field(640, gt=0, le=8192)
    capture_height_px: int = Field(480, gt=0, le=8192)
    rate_hz: float = Field(30.0, gt=0.0, le=1000.0)
    """Pictures per second that the camera is asked for."""
    crop_left_px: int = Field(0, ge=0)
    crop_top_px: int = Field(0, ge=0)
    crop_width_px: int | None = Field(None, gt=0)
    """Width of the part that is kept; None keeps everything to the right of `crop_left_px`."""
    crop_height_px: int | None = Field(None, gt=0)
    """Height of the part that is kept; None keeps everything below `crop_top_px`."""
    width_px: int | None = Field(None, gt=0, le=8192)
    """Delivered width; None delivers the crop as it is."""
    height_px: int | None = Field(None, gt=0, le=8192)
    max_age_s: float = Field(0.5, gt=0.0, le=60.0)
    """An older frame raises StaleState."""
    silence_s: float = Field(1.0, gt=0.0, le=60.0)
    """Time without a frame after which the camera is closed and opened again."""

    @property
    def crop_px(self) -> tuple[int, int, int, int]:
        """Left, top, width and height of the crop."""
        width, height = self.crop_width_px, self.crop_height_px
        return (
            self.crop_left_px,
            self.crop_top_px,
            self.capture_width_px - self.crop_left_px if width is None else width,
            self.capture_height_px - self.crop_top_px if height is None else height,
        )

    @property
    def delivered_px(self) -> tuple[int, int]:
        """Width and height of the delivered frame."""
        _, _, width, height = self.crop_px
        return self.width_px or width, self.height_px or height

    @model_validator(mode="after")
    def _crop_lies_inside(self) -> Self:
        left, top, width, height = self.crop_px
        if width <= 0 or height <= 0 or left + width > self.capture_width_px or top + height > self.capture_height_px:
            raise ValueError(
                f"the crop ({width}x{height} at {left}, {top}) does not lie inside the captured "
                f"{self.capture_width_px}x{self.capture_height_px}"
            )
        return self


def shape_rgb(rgb: np.ndarray, config: FrameConfig) -> np.ndarray:
    """Cut and resize a picture, uint8 (height, width, 3); the result is a copy of its own.

    Raises:
        DeviceFault: the picture has another size or kind of pixels than was captured when the camera was opened.
    """
    _require(rgb, (config.capture_height_px, config.capture_width_px, 3), np.uint8)
    width, height = config.delivered_px
    _, _, cut_width, cut_height = config.crop_px
    shrinks = width * height < cut_width * cut_height
    return _shape(rgb, config, cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def shape_depth(depth_m: np.ndarray, config: FrameConfig) -> np.ndarray:
    """Cut and resize a depth image, float32 (height, width): nearest neighbour, a mean would invent edges.

    Raises:
        DeviceFault: the image has another size or kind of pixels than was captured when the camera was opened.
    """
    _require(depth_m, (config.capture_height_px, config.capture_width_px), np.float32)
    return _shape(depth_m, config, cv2.INTER_NEAREST_EXACT)


def shape_intrinsics(captured: Intrinsics, config: FrameConfig) -> Intrinsics:
    """The pinhole parameters of the delivered frame; a pixel's centre has whole coordinates."""
    left, top, cut_width, cut_height = config.crop_px
    width, height = config.delivered_px
    x_scale, y_scale = width / cut_width, height / cut_height
    return Intrinsics(
        fx_px=captured.fx_px * x_scale,
        fy_px=captured.fy_px * y_scale,
        cx_px=(captured.cx_px - left + 0.5) * x_scale - 0.5,
        cy_px=(captured.cy_px - top + 0.5) * y_scale - 0.5,
    )


def captured_intrinsics(delivered: Intrinsics, config: FrameConfig) -> Intrinsics:
    """The inverse of `shape_intrinsics`: pinhole parameters of the captured picture."""
    left, top, cut_width, cut_height = config.crop_px
    width, height = config.delivered_px
    x_scale, y_scale = cut_width / width, cut_height / height
    return Intrinsics(
        fx_px=delivered.fx_px * x_scale,
        fy_px=delivered.fy_px * y_scale,
        cx_px=(delivered.cx_px + 0.5) * x_scale - 0.5 + left,
        cy_px=(delivered.cy_px + 0.5) * y_scale - 0.5 + top,
    )


def _require(image: np.ndarray, shape: tuple[int, ...], dtype: type) -> None:
    """Refuse a picture that does not fit the spec: a crop would show another part of the scene, or nothing."""
    if image.shape != shape or image.dtype != dtype:
        raise DeviceFault(
            f"the camera delivers {_words(image.shape, image.dtype)} now, not {_words(shape, np.dtype(dtype))}; let no "
            "other program change its mode, or set capture_width_px and capture_height_px"
        )


def _words(shape: tuple[int, ...], dtype: np.dtype) -> str:
    """Width x height x channels, as OpenCV and librealsense write it."""
    height, width = shape[:2]
    return "x".join(str(number) for number in (width, height, *shape[2:])) + f" {dtype}"


def _shape(image: np.ndarray, config: FrameConfig, interpolation: int) -> np.ndarray:
    left, top, width, height = config.crop_px
    cut = image[top : top + height, left : left + width]
    if config.delivered_px == (width, height):
        return cut.copy()
    resized: np.ndarray = cv2.resize(cut, config.delivered_px, interpolation=interpolation)
    return resized
