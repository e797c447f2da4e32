"""`Keyboard`: keys typed into a terminal."""

from __future__ import annotations

import contextlib
import os
import termios
import tty

import numpy as np
from pydantic import Field

from robotkit.devices import BaseTeleop, CellContext
from robotkit.drivers.teleop.operator import OperatorConfig, reading
from robotkit.errors import ConnectionFailed, StaleState
from robotkit.schema import TeleopReading

KEYS: dict[str, tuple[int, int]] = {
    "w": (0, 1), "s": (0, -1), "a": (1, 1), "d": (1, -1), "r": (2, 1), "f": (2, -1),
    "o": (3, 1), "u": (3, -1), "i": (4, 1), "k": (4, -1), "j": (5, 1), "l": (5, -1),
}  # fmt: skip
"""Axis (forward, left, up, and about them) and sign."""
BUTTONS = " \n"
"""Space is button 0, Enter is button 1."""


class KeyboardConfig(OperatorConfig):
    """Options of the keyboard."""

    terminal: str = "/dev/tty"
    """The terminal to read; the default is the one that the program runs in."""
    deflection: float = Field(0.5, gt=0.0, le=1.0)
    """How far one key deflects."""
    hold_s: float = Field(0.2, gt=0.0, le=2.0)
    """How long a key counts as held after it was typed: a terminal tells nothing of its release."""


class Keyboard(BaseTeleop):
    """w s a d r f move forward, back, left, right, up, down; o u, i k, j l roll, pitch and yaw; Space and Enter.

    A terminal is read because that works over ssh, without a display, without rights on input devices and without a
    package; the price is that a held key starts with the pause of the keyboard's repetition.
    """

    Config = KeyboardConfig

    def __init__(self, config: KeyboardConfig, context: CellContext) -> None:
        super().__init__(config, context)
        self._options = config
        self._terminal: int | None = None
        self._settings: list = []
        self._held_until_s: dict[str, float] = {}

    @property
    def is_connected(self) -> bool:
        """True between `connect()` and `disconnect()`."""
        return self._terminal is not None

    def connect(self) -> None:
        """Take over the terminal: keys are neither echoed nor kept for a whole line.

        Raises:
            ConnectionFailed: there is no terminal.
        """
        if self._terminal is not None:
            return
        path = self._options.terminal
        try:
            terminal = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
            self._settings = termios.tcgetattr(terminal)
            tty.setcbreak(terminal, termios.TCSAFLUSH)
        except (OSError, termios.error) as error:
            raise ConnectionFailed(f"{path} is no terminal to read keys from: {error}; start this in one") from error
        self._terminal = terminal
        self._held_until_s.clear()

    def disconnect(self) -> None:
        """Give the terminal back as it was."""
        terminal, self._terminal = self._terminal, None
        if terminal is None:
            return
        with contextlib.suppress(termios.error):  # a terminal that was closed has no settings any more
            termios.tcsetattr(terminal, termios.TCSAFLUSH, self._settings)
        os.close(terminal)

    def read(self) -> TeleopReading:
        """Every key that was typed within `hold_s`."""
        self.require_connected()
        now_s = self.context.clock.now_s()
        self._held_until_s.update(dict.fromkeys(self._typed(), now_s + self._options.hold_s))
        held = {key for key, until_s in self._held_until_s.items() if now_s < until_s}
        deflection = np.zeros(6)
        for key in held & set(KEYS):
            axis, sign = KEYS[key]
            deflection[axis] += sign * self._options.deflection
        return reading(self._options, now_s, deflection, tuple(key in held for key in BUTTONS))

    def _typed(self) -> str:
        """What was typed since the last call."""
        terminal = self._terminal
        if terminal is None:
            return ""
        try:
            typed = os.read(terminal, 1024)
        except BlockingIOError:
            return ""
        except OSError as error:
            raise StaleState(f"the terminal {self._options.terminal} is gone: {error}") from error
        if not typed:
            raise StaleState(f"the terminal {self._options.terminal} was closed")
        return typed.decode(errors="ignore").lower()
