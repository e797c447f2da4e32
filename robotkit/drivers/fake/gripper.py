"""`FakeGripper`: fingers that move at a constant speed."""

from __future__ import annotations

import math

from pydantic import Field

from robotkit.devices import BaseGripperServer, CellContext
from robotkit.drivers.fake.device import FakeDevice
from robotkit.drivers.fake.world import fake_world
from robotkit.drivers.ranges import WIDTH_MAX_M
from robotkit.schema import GripperSpec, GripperState, PluginConfig


class FakeGripperConfig(PluginConfig):
    """Options of the fake gripper."""

    width_max_m: float = Field(0.085, gt=0.0, le=WIDTH_MAX_M)
    """Distance between the fingers when open."""
    stroke_s: float = Field(0.5, gt=0.0, le=60.0)
    """Time from open to closed."""
    object_width_m: float | None = Field(None, gt=0.0, le=WIDTH_MAX_M)
    """Width of something that stands between the fingers; None closes on air."""
    positions: tuple[float, ...] | None = None
    """The positions that it takes, as in `GripperSpec`: [0, 1] for a gripper that is open or closed."""


class FakeGripper(FakeDevice, BaseGripperServer):
    """Position is a closed function of the time since the last command, so reading it changes nothing."""

    Config = FakeGripperConfig

    def __init__(self, config: FakeGripperConfig, context: CellContext) -> None:
        super().__init__(config, context)
        self.spec = GripperSpec(name="fake", width_max_m=config.width_max_m, positions=config.positions)
        self._stroke_s = config.stroke_s
        self._object_width_m = config.object_width_m
        self._start = self._target = 1.0
        self._start_s = 0.0
        world = fake_world(context)
        if world is not None:
            world.call_on_reset(self._snap_open)

    def get_state(self) -> GripperState:
        """The present position of the fingers."""
        self.require_connected()
        position, is_moving = self._position()
        return GripperState.unchecked(
            stamp_s=self.context.clock.now_s(),
            position=position,
            target_position=self._target,
            width_m=position * self.spec.width_max_m,
            is_moving=is_moving,
            is_grasping=not is_moving and position > self._target,
            raw=position,
        )

    def move(self, position: float) -> None:
        """Start to move; an object between the fingers stops them."""
        self.require_connected()
        self.require_position(position)
        self._start = self._position()[0]
        self._start_s = self.context.clock.now_s()
        self._target = float(position)

    def activate(self) -> None:
        """A fake gripper is always ready."""
        self.require_connected()

    def reset(self) -> None:
        """Start to open."""
        self.move(1.0)

    def _position(self) -> tuple[float, bool]:
        """Opening, and whether the fingers are still on their way."""
        stroke = (self.context.clock.now_s() - self._start_s) / self._stroke_s
        stop = self._target
        if self._object_width_m is not None and self._target < self._start:
            stop = min(self._start, max(stop, self._object_width_m / self.spec.width_max_m))
        way = stop - self._start
        if stroke >= abs(way):
            return stop, False
        return self._start + math.copysign(stroke, way), True

    def _snap_open(self) -> None:
        self._start = self._target = 1.0
