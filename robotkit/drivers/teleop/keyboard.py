"""`Keyboard`: keys typed into a terminal."""

from __future__ import annotations

import contextlib
import os
import re
import termios
import time
import tty
from typing import Any

import numpy as np
from pydantic import Field

from robotkit.clock import Clock
from robotkit.devices import CellContext
from robotkit.drivers.polling import Source
from robotkit.drivers.teleop.operator import OperatorConfig, reading
from robotkit.drivers.teleop.polled_teleop import PolledTeleop
from robotkit.errors import ConnectionFailed, StaleState
from robotkit.schema import TeleopReading

KEYS: dict[str, tuple[int, int]] = {
    "w": (0, 1), "s": (0, -1), "a": (1, 1), "d": (1, -1), "r": (2, 1), "f": (2, -1),
    "o": (3, 1), "u": (3, -1), "i": (4, 1), "k": (4, -1), "j": (5, 1), "l": (5, -1),
}  # fmt: skip
"""Axis (forward, left, up, and about them) and sign."""
BUTTONS = " \n"
"""Numbers of the buttons: Space is button 0, Enter is button 1."""
_SEQUENCE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|O.|.)?", re.DOTALL)
"""Pattern of what arrow and function keys send (ECMA-48, and SS3 of a VT100); its letters are no keys."""
_LOCAL_MODES = 3
"""Place of the local modes in what `tcgetattr` returns."""


class KeyboardConfig(OperatorConfig):
    """Options of the keyboard."""

    terminal: str = "/dev/tty"
    """The terminal to read; the default is the one that the program runs in."""
    deflection: float = Field(0.5, gt=0.0, le=1.0)
    """How far one key deflects."""
    hold_s: float = Field(0.2, gt=0.0, le=2.0)
    """How long a key counts as held after it was typed: a terminal tells nothing of its release."""


class Keyboard(PolledTeleop):
    """w s a d r f move forward, back, left, right, up, down; o u, i k, j l roll, pitch and yaw; Space and Enter.

    A terminal is read because that works over ssh, without a display, without rights on input devices and without a
    package; the price is that a held key starts with the pause of the keyboard's repetition. A thread reads the keys
    when they are typed, so that one that was typed while nobody asked is not held later.
    """

    Config = KeyboardConfig

    def __init__(self, config: KeyboardConfig, context: CellContext) -> None:
        hint = f"{config.terminal} has to be an open terminal"
        super().__init__(config, context, _Keys(config, context.clock), "keyboard", hint)


class _Keys(Source[TeleopReading]):
    """The keys that were typed within `hold_s` into a terminal.

    In the background the terminal is left alone, as its keys are for another program: there the kernel stops a process
    that reads them.
    """

    def __init__(self, config: KeyboardConfig, clock: Clock) -> None:
        self._options = config
        self._clock = clock
        self._terminal: int | None = None
        self._settings: list[Any] = []
        self._held_until_s: dict[str, float] = {}

    def open(self) -> None:
        path = self._options.terminal
        self._held_until_s.clear()
        try:
            terminal = self._terminal = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
            if _is_in_background(terminal):
                raise ConnectionFailed(f"{path} belongs to another program now; bring this one to the foreground (fg)")
            self._settings = termios.tcgetattr(terminal)
            tty.setcbreak(terminal, termios.TCSAFLUSH)
        except (OSError, termios.error) as error:
            raise ConnectionFailed(f"{path} is no terminal to read keys from: {error}; start this in one") from error

    def poll(self) -> TeleopReading:
        now_s = time.monotonic()
        self._held_until_s.update(dict.fromkeys(self._typed(), now_s + self._options.hold_s))
        held = {key for key, until_s in self._held_until_s.items() if now_s < until_s}
        deflection = np.zeros(6)
        for key in held & set(KEYS):
            axis, sign = KEYS[key]
            deflection[axis] += sign * self._options.deflection
        return reading(self._options, self._clock.now_s(), deflection, tuple(key in held for key in BUTTONS))

    def close(self) -> None:
        """Give the terminal back as it was."""
        terminal, self._terminal = self._terminal, None
        settings, self._settings = self._settings, []
        if terminal is None:
            return
        if settings and not _is_in_background(terminal):
            with contextlib.suppress(termios.error):  # a terminal that was closed has no settings any more
                termios.tcsetattr(terminal, termios.TCSAFLUSH, settings)
        os.close(terminal)

    def _typed(self) -> str:
        """Return the characters that were typed since the last call."""
        terminal = self._terminal
        if terminal is None or _is_in_background(terminal):
            return ""
        try:
            if termios.tcgetattr(terminal)[_LOCAL_MODES] & termios.ICANON:  # a shell had it, and gave it back
                tty.setcbreak(terminal, termios.TCSAFLUSH)
            typed = os.read(terminal, 1024)
        except BlockingIOError:
            return ""
        except (OSError, termios.error) as error:
            raise StaleState(f"the terminal {self._options.terminal} is gone: {error}") from error
        if not typed:
            raise StaleState(f"the terminal {self._options.terminal} was closed")
        return _SEQUENCE.sub("", typed.decode(errors="ignore")).lower()


def _is_in_background(terminal: int) -> bool:
    """True when another job of the shell has the terminal; False also where there is no shell with jobs."""
    try:
        return os.tcgetpgrp(terminal) != os.getpgrp()
    except OSError:  # not this process' controlling terminal
        return False
