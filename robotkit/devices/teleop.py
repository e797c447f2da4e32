"""`BaseTeleop`: the contract of a device that a human steers with."""

from __future__ import annotations

from abc import abstractmethod

from robotkit.devices.device import Device
from robotkit.schema import TeleopReading


class BaseTeleop(Device):
    """A SpaceMouse, a gamepad, a keyboard, or a script that plays the human."""

    @abstractmethod
    def read(self) -> TeleopReading:
        """Return what the hand does now, without waiting.

        Raises:
            NotConnected: before `connect()`.
            StaleState: the device was unplugged.
        """
