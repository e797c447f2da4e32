"""`BasePoseTracker`: the contract of a device that measures the pose of an object."""

from __future__ import annotations

from abc import abstractmethod

from robotkit.devices.device import Device
from robotkit.schema import TrackedPose


class BasePoseTracker(Device):
    """The pose of one object, from a simulation's ground truth, a fiducial marker or motion capture."""

    @abstractmethod
    def get_pose(self) -> TrackedPose:
        """Return the newest pose of the object.

        Raises:
            NotConnected: before `connect()`.
            StaleState: the object was not seen for longer than allowed.
        """
