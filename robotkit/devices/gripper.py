"""`BaseGripperServer`: the contract of a gripper."""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np

from robotkit.devices.device import Device
from robotkit.errors import InvalidCommand
from robotkit.schema import GripperSpec, GripperState


class BaseGripperServer(Device):
    """A gripper. Positions are normalised: 0 closed, 1 open. No method waits for the fingers.

    `close()` closes the fingers; the connection is closed by `disconnect()`.
    """

    spec: GripperSpec
    activates_on_connect: bool = True
    """False before `connect()`: it moves no finger, and a gripper that is not ready waits for `activate()`."""

    @abstractmethod
    def get_state(self) -> GripperState:
        """Return the newest measurement.

        Raises:
            NotConnected: before `connect()`.
            StaleState: the device stopped answering.
            DeviceFault: the device reports a fault.
        """

    @abstractmethod
    def move(self, position: float) -> None:
        """Start to move the fingers to `position` (0 closed, 1 open) and return at once; the newest command wins.

        Raises:
            InvalidCommand: what `require_position` says.
        """

    def require_position(self, position: float) -> None:
        """Refuse a position that the fingers cannot take; `move` calls it.

        Raises:
            InvalidCommand: not a number in [0, 1], or none of `spec.positions`; says which are allowed.
        """
        is_number = isinstance(position, (int, float, np.number))
        if not (is_number and math.isfinite(position) and 0.0 <= position <= 1.0):
            raise InvalidCommand(f"gripper position {position!r} is not in [0, 1]; 0 is closed, 1 is open")
        if self.spec.nearest_position(position) != position:
            raise InvalidCommand(
                f"gripper {self.spec.name!r} cannot go to position {position!r}; it takes: "
                f"{', '.join(f'{own:g}' for own in self.spec.positions or ())} (0 is closed, 1 is open)"
            )

    def open(self) -> None:
        """Start to open fully."""
        self.move(1.0)

    def close(self) -> None:
        """Start to close fully."""
        self.move(0.0)

    @abstractmethod
    def activate(self) -> None:
        """Make the gripper ready after power-up (homing, activation); a ready gripper ignores it."""

    @abstractmethod
    def reset(self) -> None:
        """Clear faults and make it ready again, fingers open."""
