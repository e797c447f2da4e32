"""Messages of pose trackers and of devices that a human holds."""

from __future__ import annotations

from robotkit.schema.arrays import Pose, Vec6
from robotkit.schema.message import Message


class TrackedPose(Message):
    """The pose of a tracked object."""

    stamp_s: float
    pose_in_base: Pose


class TeleopReading(Message):
    """The reading of a device that a human steers with."""

    stamp_s: float
    twist: Vec6
    """Deflection in [-1, 1]: translation x y z, rotation x y z, in the operator's base-aligned frame."""
    buttons: tuple[bool, ...]
    is_active: bool
    """True while the human is steering."""
