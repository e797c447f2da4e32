"""Messages of a gripper; positions are normalised, 0 closed and 1 open."""

from __future__ import annotations

from pydantic import Field

from robotkit.schema.message import Message


class GripperSpec(Message):
    """What is known of a gripper before it is connected."""

    name: str
    width_max_m: float
    """Distance between the fingers when open."""


class GripperState(Message):
    """The newest measurement of a gripper."""

    stamp_s: float
    position: float
    """Measured opening, 0 closed, 1 open."""
    target_position: float
    """Last commanded opening, 0 closed, 1 open."""
    width_m: float
    is_moving: bool
    is_grasping: bool
    """The fingers stopped on something before they arrived."""
    raw: float | None = None
    """The device's own number (Robotiq register, hand width in metres), for those who need it."""


class GripperCommand(Message):
    """Move the fingers to this opening."""

    position: float = Field(ge=0.0, le=1.0)
    """0 closed, 1 open."""
