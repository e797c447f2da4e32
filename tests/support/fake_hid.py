"""A SpaceMouse and a gamepad without hardware: below them the drivers' own decoding runs."""

from __future__ import annotations

import queue
import struct

from evdev import AbsInfo, InputEvent, ecodes
from pyspacemouse import AxisConvention, SpaceMouseDevice, apply_axis_convention
from pyspacemouse.loader import get_device_specs


class FakeHid:
    """Plays `easyhid.Device`: reports are queued by the test and read by pyspacemouse."""

    product_string, manufacturer_string, release_number, serial_number = "SpaceMouse", "3Dconnexion", 1, "0815"

    def __init__(self) -> None:
        self.reports: queue.Queue[bytes] = queue.Queue()
        self.is_gone = False

    def open(self) -> None:
        if self.is_gone:
            raise OSError("no such device")

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
        self.hid.reports.put(struct.pack("<Bhhh", 1, right, back, down) + bytes(6))

    def turn(self, about_right: int = 0, about_back: int = 0, about_down: int = 0) -> None:
        """A rotation report."""
        self.hid.reports.put(struct.pack("<Bhhh", 2, about_right, about_back, about_down))

    def press(self, *numbers: int) -> None:
        """Exactly these buttons are down."""
        specs = get_device_specs()[self.model].button_specs
        report = bytearray(8)
        report[0] = specs[0].channel
        for number in numbers:
            report[specs[number].byte] |= 1 << specs[number].bit
        self.hid.reports.put(bytes(report))


class FakePad:
    """Plays `evdev.InputDevice` of a common gamepad."""

    STICKS = (ecodes.ABS_X, ecodes.ABS_Y, ecodes.ABS_RX, ecodes.ABS_RY)
    KEYS = (ecodes.BTN_SOUTH, ecodes.BTN_EAST, ecodes.BTN_NORTH, ecodes.BTN_WEST)

    def __init__(self) -> None:
        self.events: list[InputEvent] = []
        self.is_gone = False
        self.opened = 0

    def open(self) -> FakePad:
        if self.is_gone:
            raise FileNotFoundError("/dev/input/event7")
        self.opened += 1
        return self

    def capabilities(self) -> dict:
        sticks = [(code, AbsInfo(0, -32768, 32767, 16, 128, 0)) for code in self.STICKS]
        triggers = [(code, AbsInfo(0, 0, 255, 0, 0, 0)) for code in (ecodes.ABS_Z, ecodes.ABS_RZ)]
        cross = [(code, AbsInfo(0, -1, 1, 0, 0, 0)) for code in (ecodes.ABS_HAT0X, ecodes.ABS_HAT0Y)]
        return {ecodes.EV_ABS: sticks + triggers + cross, ecodes.EV_KEY: list(self.KEYS)}

    def read(self) -> list[InputEvent]:
        if self.is_gone:
            raise OSError(19, "No such device")
        if not self.events:
            raise BlockingIOError
        events, self.events = self.events, []
        return events

    def close(self) -> None:
        """Nothing to close."""

    def happen(self, kind: int, code: int, value: int) -> None:
        self.events.append(InputEvent(0, 0, kind, code, value))
