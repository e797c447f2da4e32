"""`Gamepad`: a game controller, through the kernel's evdev interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import evdev
import numpy as np
from evdev import ecodes
from pydantic import Field

from robotkit.clock import Clock
from robotkit.devices import CellContext
from robotkit.drivers.polling import Source
from robotkit.drivers.teleop.gamepad_layout import Control, layout_of
from robotkit.drivers.teleop.operator import OperatorConfig, reading
from robotkit.drivers.teleop.polled_teleop import PolledTeleop
from robotkit.errors import ConnectionFailed
from robotkit.schema import TeleopReading


class GamepadConfig(OperatorConfig):
    """Options of a gamepad."""

    deadband: float = Field(0.1, ge=0.0, lt=1.0)
    device: str | None = None
    """Path such as "/dev/input/by-id/...-event-joystick"; None takes the only gamepad."""


class Gamepad(PolledTeleop):
    """Left stick: forward and left. Triggers: up and down. Right stick: yaw and pitch. Cross: roll. Every button.

    evdev needs no window and no display, so it works over ssh. Which axis is which is found from those that the gamepad
    has.

    The kernel reports changes alone, and a stick that is held reports nothing. Over a cable or Bluetooth a lost gamepad
    is `StaleState`; the receiver of another radio stays when its gamepad is out of reach, and the last deflection goes
    on: on a real arm use a cable.

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
    """Keeps the state of all axes and buttons: the device's own at first and after lost events, changed by events."""

    def __init__(self, config: GamepadConfig, clock: Clock, open_device: Callable[[], Any]) -> None:
        self._options = config
        self._clock = clock
        self._open_device = open_device
        self._device: Any = None
        self._ranges: dict[int, tuple[int, int]] = {}
        self._layout = layout_of({}, ())
        self._state: dict[Control, float] = {}
        self._buttons: list[int] = []
        self._has_lost_events = False

    def open(self) -> None:
        try:
            self._device = self._open_device()
            can = self._device.capabilities()
            axes = {code: self._device.absinfo(code) for code, _ in can.get(ecodes.EV_ABS, ())}
            self._ranges = {code: (info.min, info.max) for code, info in axes.items()}
            self._buttons = sorted(can.get(ecodes.EV_KEY, ()))
            self._layout = layout_of(axes, self._buttons)
            self._read_state()
        except OSError as error:
            raise ConnectionFailed(f"the gamepad does not open: {error}; is this user in the group input?") from error
        if not {ecodes.ABS_X, ecodes.ABS_Y} <= axes.keys():
            raise ConnectionFailed(f"{self._options.device} has no stick; set the option `device` to that of a gamepad")

    def poll(self) -> TeleopReading:
        try:
            for event in self._device.read():
                self._take(event)
        except BlockingIOError:  # nothing has happened since
            pass
        if self._has_lost_events:
            self._read_state(has_lost_events=True)
        steering = self._layout.steering
        deflection = np.array(
            [sum(sign * self._state.get(control, 0.0) for control, sign in axis) for axis in steering]
        )
        buttons = tuple(bool(self._state[ecodes.EV_KEY, code]) for code in self._buttons)
        return reading(self._options, self._clock.now_s(), deflection, buttons)

    def close(self) -> None:
        device, self._device = self._device, None
        if device is not None:
            device.close()

    def _take(self, event: Any) -> None:
        """Take an event.

        Between SYN_DROPPED and SYN_REPORT events are missing (kernel, event-codes), the others do not count.
        """
        if event.type == ecodes.EV_SYN and event.code == ecodes.SYN_DROPPED:
            self._has_lost_events = True
        elif self._has_lost_events:
            if event.type == ecodes.EV_SYN and event.code == ecodes.SYN_REPORT:
                self._read_state()
        elif event.type == ecodes.EV_ABS and event.code in self._ranges:
            self._state[ecodes.EV_ABS, event.code] = self._deflection(event.code, event.value)
        elif event.type == ecodes.EV_KEY and (ecodes.EV_KEY, event.code) in self._state:
            self._state[ecodes.EV_KEY, event.code] = float(bool(event.value))

    def _read_state(self, has_lost_events: bool = False) -> None:
        """Ask the device for all of its axes and buttons."""
        self._has_lost_events = has_lost_events
        pressed = set(self._device.active_keys())
        self._state = {(ecodes.EV_KEY, code): float(code in pressed) for code in self._buttons}
        for code in self._ranges:
            self._state[ecodes.EV_ABS, code] = self._deflection(code, self._device.absinfo(code).value)

    def _deflection(self, code: int, value: int) -> float:
        """A stick's [-1, 1], a trigger's [0, 1]; an axis that tells no range rests."""
        low, high = self._ranges[code]
        if high <= low:
            return 0.0
        share = (value - low) / (high - low)
        return share if code in self._layout.triggers else 2.0 * share - 1.0


def _open(path: str | None) -> Any:
    """The device at `path`, or the only one that has a gamepad's buttons and sticks."""
    if path is not None:
        return evdev.InputDevice(path)
    found = [device for device in map(_gamepad_at, evdev.list_devices()) if device is not None]
    if len(found) == 1:
        return found[0]
    for device in found:
        device.close()
    if found:
        names = ", ".join(f"{device.path} ({device.name})" for device in found)
        raise ConnectionFailed(f"several gamepads were found: {names}; set the option `device` to the path of one")
    raise ConnectionFailed("no gamepad was found among the input devices; check its cable, and the group input")


def _gamepad_at(path: str) -> Any | None:
    """The gamepad at `path`; None for another device, and for one that cannot be asked."""
    try:
        device = evdev.InputDevice(path)
    except OSError:  # it was unplugged, or is not for this user: that must not hide the others
        return None
    try:
        can = device.capabilities(absinfo=False)
        if ecodes.BTN_GAMEPAD in can.get(ecodes.EV_KEY, ()) and ecodes.ABS_X in can.get(ecodes.EV_ABS, ()):
            return device
    except OSError:
        pass
    device.close()
    return None
