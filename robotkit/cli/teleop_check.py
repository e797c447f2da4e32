"""The self-test of a teleoperation device, for `robotkit doctor`."""

from __future__ import annotations

import time

import numpy as np

from robotkit.cli.finding import Finding
from robotkit.devices import BaseTeleop
from robotkit.errors import RobotkitError

_PERIOD_S = 0.02
_MOVED = 0.2
_AXES = ("x", "y", "z", "about x", "about y", "about z")


def self_test(name: str, hand: BaseTeleop, duration_s: float) -> Finding:
    """Watch the device for `duration_s` while its owner moves everything that it has."""
    subject = f"teleop {name}"
    reached, pressed = np.zeros(6), set()
    try:
        with hand:
            end_s = time.monotonic() + duration_s
            while time.monotonic() < end_s:
                reading = hand.read()
                reached = np.maximum(reached, np.abs(reading.twist))
                pressed |= {number for number, is_down in enumerate(reading.buttons) if is_down}
                time.sleep(_PERIOD_S)
    except RobotkitError as error:
        return Finding(subject, "warning", error.message, "see what the message asks to check, and run this again")
    if not reached.any() and not pressed:
        fix = "push it in every direction while this runs; a wireless SpaceMouse may need its Bluetooth connection"
        return Finding(subject, "warning", f"it is there, but nothing moved in {duration_s:g} s", fix)
    return Finding(subject, "ok", _summary(reached, pressed))


def _summary(reached: np.ndarray, pressed: set[int]) -> str:
    moved = ", ".join(axis for axis, most in zip(_AXES, reached, strict=True) if most > _MOVED) or "no axis"
    buttons = ", ".join(map(str, sorted(pressed))) or "none"
    return f"moved: {moved}; buttons pressed: {buttons}"
