"""`BaseTeleop`: the contract of a device that a human steers with."""

from __future__ import annotations

from abc import abstractmethod

from robotkit.devices.device import Device
from robotkit.schema import TeleopReading


class BaseTeleop(Device):
    """A device that a human steers with (a SpaceMouse, a gamepad, a keyboard), or a script in the human's place."""

    @abstractmethod
    def read(self) -> TeleopReading:
        """Return the present reading, without waiting.

        Raises:
            NotConnected: before `connect()`.
            StaleState: the device was unplugged.
        """
