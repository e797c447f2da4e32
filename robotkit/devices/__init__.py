"""The contracts that every body of a device fulfils, real, simulated or remote."""

from robotkit.devices.adapter import AdaptedRobot
from robotkit.devices.body import ArmBody, Measurement
from robotkit.devices.camera import BaseCamera
from robotkit.devices.context import CellContext
from robotkit.devices.device import Device, DeviceContext
from robotkit.devices.gripper import BaseGripperServer
from robotkit.devices.machine import ArmFault, ArmMachine, Travel
from robotkit.devices.robot import BaseRobotServer
from robotkit.devices.stateful_robot import StatefulRobotServer
from robotkit.devices.teleop import BaseTeleop
from robotkit.devices.tracker import BasePoseTracker
from robotkit.devices.world import BaseWorld

__all__ = [
    "AdaptedRobot", "ArmBody", "ArmFault", "ArmMachine", "BaseCamera", "BaseGripperServer", "BasePoseTracker",
    "BaseRobotServer", "BaseTeleop", "BaseWorld", "CellContext", "Device", "DeviceContext", "Measurement",
    "StatefulRobotServer", "Travel",
]  # fmt: skip
