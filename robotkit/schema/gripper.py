"""Messages of a gripper; positions are normalised, 0 closed and 1 open."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from robotkit.schema.message import Message

Opening = Annotated[float, Field(ge=0.0, le=1.0)]
"""0 closed, 1 open."""


class GripperSpec(Message):
    """The specification of a gripper, known before it is connected."""

    name: str
    width_max_m: float
    """Distance between the fingers when open."""
    positions: Annotated[tuple[Opening, ...], Field(min_length=1)] | None = None
    """The only openings that it can be asked for: (0, 1) of a gripper that is open or closed. None: any opening."""

    @model_validator(mode="after")
    def _positions_ascend(self) -> Self:
        positions = self.positions
        if positions is not None and list(positions) != sorted(set(positions)):
            raise ValueError(f"positions must ascend, each once, from 0 (closed) to 1 (open), got {list(positions)}")
        return self

    def nearest_position(self, position: float) -> float:
        """The opening nearest to `position` that the gripper can be asked for."""
        return position if self.positions is None else min(self.positions, key=lambda own: abs(own - position))


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

    position: Opening
