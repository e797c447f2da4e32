"""`MujocoPoseTracker`: ground truth of one body in a simulated world."""

from __future__ import annotations

import numpy as np

from robotkit.devices import BasePoseTracker, CellContext
from robotkit.errors import InvalidConfiguration
from robotkit.schema import PluginConfig, TrackedPose
from sims.devices.base import WorldDevice
from sims.measurements import read_body


class MujocoPoseTrackerConfig(PluginConfig):
    """Options of the tracker `mujoco`."""

    body: str | None = None
    """Name of the body in the scene; None takes the tracker's own name in the cell."""


class MujocoPoseTracker(WorldDevice, BasePoseTracker):
    """Reads the pose that the last physics step started from, as SERL's block sensor does."""

    Config = MujocoPoseTrackerConfig

    def __init__(self, config: MujocoPoseTrackerConfig, context: CellContext) -> None:
        super().__init__(config, context)
        name = config.body or context.name
        model, data = self.world.model, self.world.data
        names = [model.body(i).name for i in range(model.nbody)]
        if name not in names:
            raise InvalidConfiguration(
                f"tracker {context.name!r}: scene {self.world.scene.name!r} has no body {name!r}. "
                f"Known: {', '.join(names)}"
            )
        body = model.body(name).id
        self._position, self._rotation = data.xpos[body], data.xmat[body]

    def warm_up(self) -> None:
        """Compile the measurement."""
        self.get_pose()

    def get_pose(self) -> TrackedPose:
        """Return the pose after the newest physics step.

        Raises:
            NotConnected: before `connect()`.
        """
        self.require_connected()
        numbers = np.empty(8)
        with self.world.lock:
            read_body(self.world.record, *self.world.arm.base, self._position, self._rotation, numbers)
        numbers.flags.writeable = False
        return TrackedPose.unchecked(stamp_s=numbers.item(0), pose_in_base=numbers[1:])
