"""`MujocoCamera`: an image of a simulated world."""

from __future__ import annotations

import math

from pydantic import Field

from robotkit.devices import BaseCamera, CellContext
from robotkit.errors import InvalidConfiguration
from robotkit.schema import CameraSpec, Frame, Intrinsics, PluginConfig
from sims.devices.base import WorldDevice


class MujocoCameraConfig(PluginConfig):
    """Options of the camera `mujoco`."""

    camera: str | None = None
    """Name of the camera in the model; None takes the camera's own name in the cell."""
    width_px: int = Field(128, gt=0, le=4096)
    height_px: int = Field(128, gt=0, le=4096)


class MujocoCamera(WorldDevice, BaseCamera):
    """Renders when it is read: the newest frame is never older than the newest physics step."""

    Config = MujocoCameraConfig

    def __init__(self, config: MujocoCameraConfig, context: CellContext) -> None:
        super().__init__(config, context)
        model = self.world.model
        name = config.camera or context.name
        names = [model.camera(i).name for i in range(model.ncam)]
        if name not in names:
            raise InvalidConfiguration(
                f"camera {context.name!r}: scene {self.world.scene.name!r} has no camera {name!r}. "
                f"Known: {', '.join(names)}"
            )
        self._camera = model.camera(name).id
        self._size = (config.width_px, config.height_px)
        focal_px = config.height_px / 2 / math.tan(math.radians(float(model.cam_fovy[self._camera])) / 2)
        self.spec = CameraSpec(
            name=context.name,
            width_px=config.width_px,
            height_px=config.height_px,
            intrinsics=Intrinsics(
                fx_px=focal_px, fy_px=focal_px, cx_px=config.width_px / 2, cy_px=config.height_px / 2
            ),
        )

    def read(self) -> Frame:
        """Render the world as it is now.

        Raises:
            NotConnected: before `connect()`.
        """
        self.require_connected()
        stamp_s, rgb = self.world.render(self._camera, *self._size)
        return Frame.unchecked(stamp_s=stamp_s, rgb=rgb, depth_m=None)
