"""`Gamepad`: a game controller, through the kernel's evdev interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import evdev
import numpy as np
from evdev import ecodes

from robotkit.clock import Clock
from robotkit.devices import CellContext
from robotkit.drivers.polling import Source
from robotkit.drivers.teleop.operator import OperatorConfig, reading
from robotkit.drivers.teleop.polled_teleop import PolledTeleop
from robotkit.errors import ConnectionFailed
from robotkit.schema import TeleopReading

_AXES: tuple[tuple[tuple[int, int], ...], ...] = (
    ((ecodes.ABS_Y, -1),),
    ((ecodes.ABS_X, -1),),
    ((ecodes.ABS_RZ, 1), (ecodes.ABS_Z, -1)),
    ((ecodes.ABS_HAT0X, 1),),
    ((ecodes.ABS_RY, -1),),
    ((ecodes.ABS_RX, -1),),
)
"""What steers along and about forward, left and up: axis and sign."""
_TRIGGERS = (ecodes.ABS_Z, ecodes.ABS_RZ)


class GamepadConfig(OperatorConfig):
    """Options of a gamepad."""

    deadband: float = 0.1
    device: str | None = None
    """Path such as "/dev/input/by-id/...-event-joystick"; None takes the first gamepad."""


class Gamepad(PolledTeleop):
    """Left stick: forward and left. Triggers: up and down. Right stick: yaw and pitch. Cross: roll. Every button.

    evdev needs no window and no display, so it works over ssh; the kernel gives the sticks and buttons of all common
    gamepads the same names.

    Args:
        config: options.
        context: the surroundings.
        open_device: opens the device; another one plays the hardware in tests.
    """

    Config = GamepadConfig

    def __init__(
        self, config: GamepadConfig, context: CellContext, open_device: Callable[[], Any] | None = None
    ) -> None:
        opener = open_device or (lambda: _open(config.device))
        super().__init__(config, context, _Pad(config, context.clock, opener), "gamepad")


class _Pad(Source[TeleopReading]):
    """Keeps the state of all axes and buttons from the events that change them."""

    def __init__(self, config: GamepadConfig, clock: Clock, open_device: Callable[[], Any]) -> None:
        self._options = config
        self._clock = clock
        self._open_device = open_device
        self._device: Any = None
        self._ranges: dict[int, tuple[int, int]] = {}
        self._axes: dict[int, float] = {}
        self._buttons: dict[int, bool] = {}

    def open(self) -> None:
        try:
            self._device = self._open_device()
            can = self._device.capabilities()
        except OSError as error:
            raise ConnectionFailed(f"the gamepad does not open: {error}; is this user in the group input?") from error
        self._ranges = {code: (info.min, info.max) for code, info in can.get(ecodes.EV_ABS, ())}
        self._axes = {code: self._deflection(code, info.value) for code, info in can.get(ecodes.EV_ABS, ())}
        self._buttons = dict.fromkeys(sorted(can.get(ecodes.EV_KEY, ())), False)

    def poll(self) -> TeleopReading:
        try:
            for event in self._device.read():
                self._take(event)
        except BlockingIOError:  # nothing has happened since
            pass
        deflection = np.array([sum(sign * self._axes.get(axis, 0.0) for axis, sign in axes) for axes in _AXES])
        return reading(self._options, self._clock.now_s(), deflection, tuple(self._buttons.values()))

    def close(self) -> None:
        device, self._device = self._device, None
        if device is not None:
            device.close()

    def _take(self, event: Any) -> None:
        if event.type == ecodes.EV_ABS and event.code in self._ranges:
            self._axes[event.code] = self._deflection(event.code, event.value)
        elif event.type == ecodes.EV_KEY and event.code in self._buttons:
            self._buttons[event.code] = bool(event.value)

    def _deflection(self, code: int, value: int) -> float:
        """A stick's [-1, 1], a trigger's [0, 1]."""
        low, high = self._ranges[code]
        share = (value - low) / (high - low) if high > low else 0.0
        return share if code in _TRIGGERS else 2.0 * share - 1.0


def _open(path: str | None) -> Any:
    """The device at `path`, or the first that has a gamepad's buttons and sticks."""
    if path is not None:
        return evdev.InputDevice(path)
    for found in evdev.list_devices():
        device = evdev.InputDevice(found)
        can = device.capabilities(absinfo=False)
        if ecodes.BTN_GAMEPAD in can.get(ecodes.EV_KEY, ()) and ecodes.ABS_X in can.get(ecodes.EV_ABS, ()):
            return device
        device.close()
    raise ConnectionFailed("no gamepad was found among the input devices; check its cable, and the group input")
