"""`BaseCamera`: the contract of a camera."""

from __future__ import annotations

from abc import abstractmethod

from robotkit.devices.device import Device
from robotkit.schema import CameraSpec, Frame


class BaseCamera(Device):
    """A camera that always has a newest frame."""

    spec: CameraSpec

    @abstractmethod
    def read(self) -> Frame:
        """Return the newest frame, as a copy that no other thread writes to.

        Raises:
            NotConnected: before `connect()`.
            StaleState: no new frame for longer than allowed.
        """
