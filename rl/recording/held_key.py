"""`HeldKey`: a key that a person holds down, read from a terminal."""

from __future__ import annotations

import contextlib
import os
import termios
import time
import tty
from collections.abc import Callable

from rl.errors import ConfigError


class HeldKey:
    """A key that is held or not. A terminal does not tell its release, which is inferred from the key's repetition.

    A keyboard repeats a held key after a pause of up to half a second: the first stroke counts for that long, every
    repetition for a few of its periods only.

    Args:
        key: one character.
        terminal: its device.
        pause_s: how long the first stroke counts.
        repeat_s: how long a repetition counts.
        now_s: a clock.
    """

    def __init__(
        self,
        key: str = " ",
        terminal: str = "/dev/tty",
        pause_s: float = 0.6,
        repeat_s: float = 0.15,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        if len(key) != 1:
            raise ConfigError(f"a key is one character, not {key!r}")
        self._key = key.encode()
        self._pause_s, self._repeat_s = pause_s, repeat_s
        self._now_s = now_s
        self._held_until_s = float("-inf")
        try:
            self._terminal = os.open(terminal, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
            self._settings = termios.tcgetattr(self._terminal)
            tty.setcbreak(self._terminal, termios.TCSAFLUSH)
        except (OSError, termios.error) as error:
            raise ConfigError(f"{terminal} is no terminal to read keys from: {error}; start this in one") from error

    def __enter__(self) -> HeldKey:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def is_down(self) -> bool:
        """True while the key is held; call it more often than keys are repeated, or at every control step."""
        now_s = self._now_s()
        strokes = self._typed().count(self._key)
        if strokes:
            is_repetition = strokes > 1 or now_s < self._held_until_s
            self._held_until_s = now_s + (self._repeat_s if is_repetition else self._pause_s)
        return now_s < self._held_until_s

    def close(self) -> None:
        """Give the terminal back as it was."""
        with contextlib.suppress(termios.error):  # a terminal that was closed has no settings any more
            termios.tcsetattr(self._terminal, termios.TCSAFLUSH, self._settings)
        os.close(self._terminal)

    def _typed(self) -> bytes:
        try:
            return os.read(self._terminal, 4096)
        except BlockingIOError:
            return b""
