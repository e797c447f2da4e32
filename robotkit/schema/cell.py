"""Messages of a whole workcell."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from robotkit.by_name import ByName
from robotkit.schema.arrays import Pose
from robotkit.schema.camera import CameraSpec
from robotkit.schema.gripper import GripperCommand, GripperSpec, GripperState
from robotkit.schema.limits import SafetyLimits
from robotkit.schema.message import Message
from robotkit.schema.robot import RobotCommand, RobotSpec, RobotState
from robotkit.schema.sensing import TrackedPose

PERIOD_MAX_S = 10.0
"""Longest time between the commands and the measurement of one step."""


class CellSpec(Message):
    """The devices of a cell, with all that a client needs to build its remote counterpart."""

    name: str
    clock: Literal["real", "lockstep"]
    robot: RobotSpec
    gripper: GripperSpec | None = None
    cameras: dict[str, CameraSpec] = Field(default_factory=dict)
    trackers: tuple[str, ...] = ()
    limits: SafetyLimits = Field(default_factory=SafetyLimits)
    can_place_objects: bool = False
    """True when `reset` can put tracked objects somewhere (a simulated world)."""


class DeviceReport(Message):
    """The error of a device that could not measure."""

    code: str
    """Name of the error class; see `robotkit.errors`."""
    message: str


class CellState(Message):
    """The newest measurement of every device but the cameras."""

    robot: RobotState
    gripper: GripperState | None = None
    poses: Annotated[dict[str, TrackedPose], AfterValidator(lambda poses: ByName("tracked pose", poses))] = Field(
        default_factory=lambda: ByName("tracked pose", {})
    )
    """Tracked objects by tracker name."""
    accepted: RobotCommand | None = None
    """The command that this step sent, as it was accepted."""
    errors: dict[str, DeviceReport] = Field(default_factory=dict)
    """Devices that could not measure: "gripper", or "trackers.NAME". The task decides what it can do without."""
    overrun_s: float = 0.0
    """How much longer than its period this step took; 0 in lock-step."""


class StepRequest(Message):
    """Send commands, let time pass, measure: one round trip of a control loop."""

    command: RobotCommand | None = None
    gripper: GripperCommand | None = None
    period_s: float = Field(0.0, ge=0.0, le=PERIOD_MAX_S)
    """How long to wait (or to simulate) between sending and measuring."""
    target_epoch: int | None = Field(None, ge=0)
    """Epoch of the state that the command was made from; the command is refused when the arm has another by now."""


class ResetRequest(Message):
    """Bring the cell to its start."""

    seed: int | None = Field(None, ge=0)
    object_poses_in_base: dict[str, Pose] = Field(default_factory=dict)
    """Where to put objects, by tracker name; only worlds with `can_place_objects` take any."""
