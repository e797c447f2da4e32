"""`FakeCamera`: a deterministic test pattern that moves with time."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from robotkit.devices import BaseCamera, CellContext
from robotkit.drivers.fake.device import FakeDevice
from robotkit.schema import CameraSpec, Frame, Intrinsics, PluginConfig


class FakeCameraConfig(PluginConfig):
    """Options of the fake camera."""

    width_px: int = Field(128, gt=0, le=4096)
    height_px: int = Field(128, gt=0, le=4096)
    rate_hz: float = Field(30.0, gt=0.0, le=1000.0)
    """Frames per second of the cell's clock."""
    has_depth: bool = False
    """True to deliver a depth image as well: a plane that leans away from the camera, 0.5 m to 1.5 m."""


class FakeCamera(FakeDevice, BaseCamera):
    """Red runs along the columns, green along the rows, blue counts frames, modulo 256."""

    Config = FakeCameraConfig

    def __init__(self, config: FakeCameraConfig, context: CellContext) -> None:
        super().__init__(config, context)
        width, height = config.width_px, config.height_px
        self.spec = CameraSpec(
            name=context.name,
            width_px=width,
            height_px=height,
            intrinsics=Intrinsics(fx_px=width, fy_px=width, cx_px=(width - 1) / 2, cy_px=(height - 1) / 2),
        )
        self._rate_hz = config.rate_hz
        self._pattern = np.zeros((height, width, 3), np.uint8)
        self._pattern[..., 0] = np.arange(width) % 256
        self._pattern[..., 1] = (np.arange(height) % 256)[:, None]
        self._depth_m = self._plane(height, width) if config.has_depth else None

    def read(self) -> Frame:
        """The frame of the newest tick of `rate_hz`."""
        self.require_connected()
        # The small offset keeps a tick that was reached by adding periods from being counted as the one before.
        index = int(self.context.clock.now_s() * self._rate_hz + 1e-6)
        rgb = self._pattern.copy()
        rgb[..., 2] = index % 256
        depth_m = None if self._depth_m is None else self._depth_m.copy()
        return Frame.unchecked(stamp_s=index / self._rate_hz, rgb=rgb, depth_m=depth_m)

    @staticmethod
    def _plane(height: int, width: int) -> np.ndarray:
        rows = np.linspace(1.5, 0.5, height, dtype=np.float32)
        return np.broadcast_to(rows[:, None], (height, width)).copy()
