"""`CellContext`: what a workcell hands to each device that it builds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from robotkit.clock import Clock, RealClock

if TYPE_CHECKING:
    from robotkit.devices.camera import BaseCamera
    from robotkit.devices.robot import BaseRobotServer
    from robotkit.devices.world import BaseWorld


@dataclass(frozen=True)
class CellContext:
    """The surroundings of a device; the default is a lone device on the wall's clock."""

    name: str = "device"
    """The device's name in its cell ("front" for `[cameras.front]`)."""
    clock: Clock = field(default_factory=RealClock)
    is_lockstep: bool = False
    """For a world, which is built before its cell's clock: True when it has to provide that clock."""
    world: BaseWorld | None = None
    """The shared world, when the cell has one."""
    cameras: Mapping[str, BaseCamera] = field(default_factory=dict)
    """Cameras that were built before this device, for trackers that look through one."""
    robot: BaseRobotServer | None = None
    """The arm's body, without its safety layer, for trackers whose camera moves with the tool."""
