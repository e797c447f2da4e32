"""`CellContext`: the objects that a workcell gives to each device that it builds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from robotkit.devices.camera import BaseCamera
from robotkit.devices.device import DeviceContext
from robotkit.devices.robot import BaseRobotServer
from robotkit.devices.world import BaseWorld


@dataclass(frozen=True)
class CellContext(DeviceContext):
    """The context of a device, with the devices of its cell that were built before it."""

    world: BaseWorld | None = None
    """The shared world, when the cell has one. For a world itself: another cell's, which it is to join."""
    cameras: Mapping[str, BaseCamera] = field(default_factory=dict)
    """Cameras that were built before this device, for trackers that look through one."""
    robot: BaseRobotServer | None = None
    """The arm's body, without its safety layer, for trackers whose camera moves with the tool."""
