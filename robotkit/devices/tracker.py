"""`BasePoseTracker`: the contract of whatever knows where an object is."""

from __future__ import annotations

from abc import abstractmethod

from robotkit.devices.device import Device
from robotkit.schema import TrackedPose


class BasePoseTracker(Device):
    """Ground truth of a simulation, a fiducial marker, a motion-capture body: one object each."""

    @abstractmethod
    def get_pose(self) -> TrackedPose:
        """Return the newest pose of the object.

        Raises:
            NotConnected: before `connect()`.
            StaleState: the object was not seen for longer than allowed.
        """
