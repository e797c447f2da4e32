"""The MuJoCo bodies of robotkit's device contracts; all of one cell share a `MujocoWorld`."""

from sims.devices.camera import MujocoCamera
from sims.devices.gripper import MujocoGripper
from sims.devices.robot import MujocoRobot
from sims.devices.tracker import MujocoPoseTracker

__all__ = ["MujocoCamera", "MujocoGripper", "MujocoPoseTracker", "MujocoRobot"]
