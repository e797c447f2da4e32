"""`SpaceMouse`: a 3Dconnexion device, through pyspacemouse."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pyspacemouse
from pydantic import Field
from pyspacemouse import AxisConvention

from robotkit.clock import Clock
from robotkit.devices import CellContext
from robotkit.drivers.polling import Source
from robotkit.drivers.teleop.operator import OperatorConfig, reading
from robotkit.drivers.teleop.polled_teleop import PolledTeleop
from robotkit.errors import ConnectionFailed
from robotkit.schema import TeleopReading

_REPORTS_PER_POLL = 64


class SpaceMouseConfig(OperatorConfig):
    """Options of a SpaceMouse."""

    device: str | None = None
    """Model, as pyspacemouse names it; None takes the first that is connected."""
    device_index: int = Field(0, ge=0)
    """Which one, when several of a model are connected."""
    hold_s: float = Field(0.3, gt=0.0)
    """A deflected puck reports all the time; without a report for this long it counts as released."""


class SpaceMouse(PolledTeleop):
    """Six axes and every button that the model has.

    Args:
        config: options.
        context: the surroundings.
        open_device: opens the device; another one plays the hardware in tests.
    """

    Config = SpaceMouseConfig

    def __init__(
        self, config: SpaceMouseConfig, context: CellContext, open_device: Callable[[], Any] | None = None
    ) -> None:
        opener = open_device or partial(
            pyspacemouse.open,
            device=config.device,
            device_index=config.device_index,
            axis_convention=AxisConvention.ROS,
        )
        super().__init__(config, context, _Puck(config, context.clock, opener), "SpaceMouse")


class _Puck(Source[TeleopReading]):
    """Drains the reports that have arrived; the poller sleeps in between, so that no core is kept busy."""

    def __init__(self, config: SpaceMouseConfig, clock: Clock, open_device: Callable[[], Any]) -> None:
        self._options = config
        self._clock = clock
        self._open_device = open_device
        self._device: Any = None
        self._report_time = -math.inf
        self._reported_s = -math.inf

    def open(self) -> None:
        try:
            self._device = self._open_device()
        except (RuntimeError, ValueError, OSError) as error:
            raise ConnectionFailed(
                f"no SpaceMouse can be opened: {error}. Check its cable, the udev rule for hidraw devices "
                "(robotkit doctor shows it), and that libhidapi is installed (Debian: apt install libhidapi-hidraw0)"
            ) from error

    def poll(self) -> TeleopReading:
        state = self._device.read()
        for _ in range(_REPORTS_PER_POLL):
            if state.t == self._report_time:
                break
            self._report_time, self._reported_s = state.t, self._clock.now_s()
            state = self._device.read()
        now_s = self._clock.now_s()
        deflection = np.array((state.x, state.y, state.z, state.roll, state.pitch, state.yaw))
        if now_s - self._reported_s > self._options.hold_s:
            deflection[:] = 0.0
        return reading(self._options, now_s, deflection, tuple(bool(pressed) for pressed in state.buttons))

    def close(self) -> None:
        device, self._device = self._device, None
        if device is not None:
            device.close()
