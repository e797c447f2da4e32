"""The options of imports and exports of other projects' formats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rl.errors import ConfigError


@dataclass(frozen=True)
class SerlOptions:
    """Options for the interpretation of SERL's transitions."""

    z_axis_only: bool = False
    """Leave x, y and orientation out of the 19 numbers of a real robot's state."""
    time_limit: int | None = None
    """Steps after which the recording environment stopped. Episodes that long without success did not fail: their last
    mask becomes 1."""
    grasp_penalty: bool = True
    """Keep HIL-SERL's penalty for gripper moves as a field of its own, where there is one."""


@dataclass(frozen=True)
class LeRobotOptions:
    """The facts that a LeRobotDataset stores beside the data."""

    fps: int | None = None
    """Actions per second, for recordings that do not tell; those that do know better."""
    task: str = "demonstration"
    """The task in words."""
    robot: str | None = None
    """Type of the robot."""
    images: Literal["png", "video"] = "png"
    """`png` keeps every pixel; `video` is what LeRobot's own recordings hold, much smaller and not exact."""

    def __post_init__(self) -> None:
        """Refuse a rate that does not exist."""
        if self.fps is not None and self.fps < 1:
            raise ConfigError(f"fps is {self.fps}: at least 1 action per second is needed")
