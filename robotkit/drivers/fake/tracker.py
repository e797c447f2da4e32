"""`FakePoseTracker`: measures the pose of an object of the fake world."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from robotkit.devices import BasePoseTracker, CellContext
from robotkit.drivers.fake.device import FakeDevice
from robotkit.drivers.fake.world import fake_world
from robotkit.drivers.ranges import LAB_M, within
from robotkit.errors import InvalidConfiguration
from robotkit.schema import PluginConfig, Pose, TrackedPose


class FakePoseTrackerConfig(PluginConfig):
    """Options of the fake tracker."""

    object_name: str | None = None
    """Name of the object in the fake world; None takes the tracker's own name."""
    pose_in_base: Annotated[Pose, within(LAB_M)] | None = None
    """A fixed pose (7,), for a cell without a fake world."""


class FakePoseTracker(FakeDevice, BasePoseTracker):
    """Reads the fake world's table, or reports one fixed pose."""

    Config = FakePoseTrackerConfig

    def __init__(self, config: FakePoseTrackerConfig, context: CellContext) -> None:
        super().__init__(config, context)
        self._fixed_pose = config.pose_in_base
        self._object_name = config.object_name or context.name
        self._world = fake_world(context)
        if self._find() is None:
            raise InvalidConfiguration(
                f"fake tracker {context.name!r}: no object {self._object_name!r} in a fake world, and no "
                "`pose_in_base`; give one of the two"
            )

    def get_pose(self) -> TrackedPose:
        """The present pose of the object."""
        self.require_connected()
        return TrackedPose.unchecked(stamp_s=self.context.clock.now_s(), pose_in_base=self._find())

    def _find(self) -> np.ndarray | None:
        if self._fixed_pose is not None or self._world is None:
            return self._fixed_pose
        return self._world.object_pose_in_base(self._object_name)
