"""`SpaceMouse`: a 3Dconnexion device, through pyspacemouse."""

from __future__ import annotations

import math
import time
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

_REPORTS_KEPT = 64
"""Number of reports that the kernel keeps for a reader that is late (HIDRAW_BUFFER_SIZE); it drops those that come
after."""


class SpaceMouseConfig(OperatorConfig):
    """Options of a SpaceMouse."""

    device: str | None = None
    """Model, as pyspacemouse names it; None takes the first that is connected."""
    device_index: int = Field(0, ge=0)
    """Index of the device, when several of a model are connected."""
    hold_s: float = Field(0.3, gt=0.0, le=2.0)
    """A deflected puck reports all the time; without a report for this long it counts as released."""
    button_hold_s: float = Field(30.0, gt=0.0, le=600.0)
    """A button reports when it changes: held for this long without any report it counts as released, and it is pressed
    again only after it was let go. A receiver stays when its device is out of reach."""


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
    """Drains the reports that have arrived; the poller sleeps in between, so that no core is kept busy.

    When so many have arrived that others were dropped, what the hand does is not known: the device is opened again, and
    counts as released until it reports.
    """

    def __init__(self, config: SpaceMouseConfig, clock: Clock, open_device: Callable[[], Any]) -> None:
        self._options = config
        self._clock = clock
        self._open_device = open_device
        self._device: Any = None
        self._report_time = -math.inf
        self._reported_s = -math.inf
        self._given_up: set[int] = set()
        """Buttons that were held for so long that they count as released."""

    def open(self) -> None:
        try:
            self._device = self._open_device()
        except (RuntimeError, ValueError, OSError) as error:
            raise ConnectionFailed(
                f"no SpaceMouse can be opened: {error}. Check its cable, the udev rule for hidraw devices "
                "(robotkit doctor shows it), and that libhidapi is installed (Debian: apt install libhidapi-hidraw0)"
            ) from error

    def poll(self) -> TeleopReading:
        state = self._drain()
        if state is None:
            self.close()
            self.open()
            state = self._device.read()
        deflection = np.array((state.x, state.y, state.z, state.roll, state.pitch, state.yaw))
        silence_s = time.monotonic() - self._reported_s
        if silence_s > self._options.hold_s:
            deflection[:] = 0.0
        pressed = {number for number, is_down in enumerate(state.buttons) if is_down}
        self._given_up &= pressed
        if silence_s > self._options.button_hold_s:
            self._given_up |= pressed
        buttons = tuple(number in pressed - self._given_up for number in range(len(state.buttons)))
        return reading(self._options, self._clock.now_s(), deflection, buttons)

    def _drain(self) -> Any | None:
        """Read every report that has arrived; returns the state after them, None when some were dropped."""
        for _ in range(_REPORTS_KEPT):
            state = self._device.read()
            if state.t == self._report_time:
                return state
            self._report_time, self._reported_s = state.t, time.monotonic()
        return None

    def close(self) -> None:
        device, self._device = self._device, None
        if device is not None:
            device.close()
