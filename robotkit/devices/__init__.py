"""The contracts: what every body of a device, real, simulated or remote, must do."""

from robotkit.devices.camera import BaseCamera
from robotkit.devices.context import CellContext
from robotkit.devices.device import Device
from robotkit.devices.gripper import BaseGripperServer
from robotkit.devices.robot import BaseRobotServer
from robotkit.devices.teleop import BaseTeleop
from robotkit.devices.tracker import BasePoseTracker
from robotkit.devices.world import BaseWorld

__all__ = [
    "BaseCamera", "BaseGripperServer", "BasePoseTracker", "BaseRobotServer", "BaseTeleop", "BaseWorld", "CellContext",
    "Device",
]  # fmt: skip
