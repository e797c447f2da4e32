"""Fake devices: deterministic bodies of every contract, with which you test your code without hardware."""

from robotkit.drivers.fake.camera import FakeCamera, FakeCameraConfig
from robotkit.drivers.fake.cell import workcell_config
from robotkit.drivers.fake.gripper import FakeGripper, FakeGripperConfig
from robotkit.drivers.fake.robot import FakeRobot, FakeRobotConfig
from robotkit.drivers.fake.teleop import FakeTeleop, FakeTeleopConfig
from robotkit.drivers.fake.tracker import FakePoseTracker, FakePoseTrackerConfig
from robotkit.drivers.fake.world import FakeWorld, FakeWorldConfig, ManualClock

__all__ = [
    "FakeCamera", "FakeCameraConfig", "FakeGripper", "FakeGripperConfig", "FakePoseTracker", "FakePoseTrackerConfig",
    "FakeRobot", "FakeRobotConfig", "FakeTeleop", "FakeTeleopConfig", "FakeWorld", "FakeWorldConfig", "ManualClock",
    "workcell_config",
]  # fmt: skip
