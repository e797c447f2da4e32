"""A SpaceMouse and a gamepad without hardware: below them the drivers' own decoding runs."""

from __future__ import annotations

import contextlib
import queue
import struct
import threading

from evdev import AbsInfo, InputEvent, ecodes
from pyspacemouse import AxisConvention, SpaceMouseDevice, apply_axis_convention
from pyspacemouse.loader import get_device_specs


class FakeHid:
    """Plays `easyhid.Device`: reports are queued by the test and read by pyspacemouse.

    As in the kernel a queue that is full drops what comes, and a new reader starts with an empty one.
    """

    product_string, manufacturer_string, release_number, serial_number = "SpaceMouse", "3Dconnexion", 1, "0815"

    def __init__(self) -> None:
        self.reports: queue.Queue[bytes] = queue.Queue(64)
        self.is_gone = False

    def open(self) -> None:
        if self.is_gone:
            raise OSError("no such device")
        self.reports.queue.clear()

    def report(self, report: bytes) -> None:
        """A report of the device."""
        with contextlib.suppress(queue.Full):
            self.reports.put_nowait(report)

    def close(self) -> None:
        """Nothing to close."""

    def read(self, size: int) -> bytes:
        if self.is_gone:
            raise OSError("device unplugged")
        return b"" if self.reports.empty() else self.reports.get_nowait()


class FakeSpaceMouse:
    """A puck of one model. Units: the device's own counts, axes as the HID tables define them (right, back, down)."""

    def __init__(self, model: str = "SpaceMouseCompact") -> None:
        self.hid = FakeHid()
        self.model = model
        self.opened = 0

    def open(self) -> SpaceMouseDevice:
        """What `pyspacemouse.open` would return."""
        self.opened += 1
        info = apply_axis_convention(get_device_specs()[self.model], AxisConvention.ROS)
        device = SpaceMouseDevice(info, self.hid)
        device.open()
        return device

    def push(self, right: int = 0, back: int = 0, down: int = 0) -> None:
        """A translation report; models with long reports carry the rotation in the same one."""
        self.hid.report(struct.pack("<Bhhh", 1, right, back, down) + bytes(6))

    def turn(self, about_right: int = 0, about_back: int = 0, about_down: int = 0) -> None:
        """A rotation report."""
        self.hid.report(struct.pack("<Bhhh", 2, about_right, about_back, about_down))

    def press(self, *numbers: int) -> None:
        """Exactly these buttons are down."""
        specs = get_device_specs()[self.model].button_specs
        report = bytearray(8)
        report[0] = specs[0].channel
        for number in numbers:
            report[specs[number].byte] |= 1 << specs[number].bit
        self.hid.report(bytes(report))


STICK, TRIGGER, CROSS = AbsInfo(0, -32768, 32767, 16, 128, 0), AbsInfo(0, 0, 255, 0, 0, 0), AbsInfo(0, -1, 1, 0, 0, 0)
XBOX = {
    ecodes.ABS_X: STICK, ecodes.ABS_Y: STICK, ecodes.ABS_RX: STICK, ecodes.ABS_RY: STICK,
    ecodes.ABS_Z: TRIGGER, ecodes.ABS_RZ: TRIGGER, ecodes.ABS_HAT0X: CROSS, ecodes.ABS_HAT0Y: CROSS,
}  # fmt: skip
"""Axes of the kernel's xpad driver."""


class FakePad:
    """Plays `evdev.InputDevice` of a gamepad.

    Args:
        axes: ranges and resting values.
        keys: the buttons.
    """

    KEYS = (ecodes.BTN_SOUTH, ecodes.BTN_EAST, ecodes.BTN_NORTH, ecodes.BTN_WEST)

    def __init__(self, axes: dict[int, AbsInfo] = XBOX, keys: tuple[int, ...] = KEYS) -> None:
        self.events: list[InputEvent] = []
        self._queue = threading.Lock()
        self.axes = dict(axes)
        self.keys = keys
        self.pressed: set[int] = set()
        self.is_gone = False
        self.opened = self.closed = self.asked = 0
        self.path, self.name = "/dev/input/event7", "Fake pad"

    def open(self) -> FakePad:
        if self.is_gone:
            raise FileNotFoundError(self.path)
        self.opened += 1
        self.events = []
        self._at_opening = dict(self.axes)
        return self

    def capabilities(self, absinfo: bool = True) -> dict:
        """As evdev's: the values are those of the moment when the device was opened."""
        axes = list(self._at_opening.items()) if absinfo else list(self._at_opening)
        return {ecodes.EV_ABS: axes, ecodes.EV_KEY: list(self.keys)}

    def absinfo(self, code: int) -> AbsInfo:
        """The axis now."""
        return self.axes[code]

    def active_keys(self) -> list[int]:
        """The buttons that are down now."""
        self.asked += 1
        return sorted(self.pressed)

    def read(self) -> list[InputEvent]:
        if self.is_gone:
            raise OSError(19, "No such device")
        with self._queue:
            events, self.events = self.events, []
        if not events:
            raise BlockingIOError
        return events

    def close(self) -> None:
        self.closed += 1

    def happen(self, kind: int, code: int, value: int) -> None:
        """Something happens, and its event is kept for the reader."""
        self.miss(kind, code, value)
        self.send((kind, code, value), (ecodes.EV_SYN, ecodes.SYN_REPORT, 0))

    def miss(self, kind: int, code: int, value: int) -> None:
        """Something happens, and its event is lost."""
        if kind == ecodes.EV_ABS:
            self.axes[code] = self.axes[code]._replace(value=value)
        else:
            (self.pressed.add if value else self.pressed.discard)(code)

    def send(self, *events: tuple[int, int, int]) -> None:
        """Events for the reader, all at once."""
        with self._queue:
            self.events += [InputEvent(0, 0, *event) for event in events]
