"""`FakeDevice`: the life cycle of a device that has nothing to open."""

from __future__ import annotations

from typing import Any

from robotkit.devices import Device


class FakeDevice(Device):
    """Connecting and disconnecting is a flag. Comes before the contract among a fake's bases."""

    answers_at_once = True

    def __init__(self, config: Any, context: Any) -> None:
        super().__init__(config, context)
        self._connected = False

    @property
    def is_connected(self) -> bool:
        """True between `connect()` and `disconnect()`."""
        return self._connected

    def connect(self) -> None:
        """Use the device."""
        self._connected = True

    def disconnect(self) -> None:
        """Let the device go."""
        self._connected = False
