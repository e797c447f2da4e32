"""`FakeTeleop`: a teleoperation device whose readings a program sets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from robotkit.devices import BaseTeleop, CellContext
from robotkit.drivers.fake.device import FakeDevice
from robotkit.schema import PluginConfig, TeleopReading, Vec6


class FakeTeleopConfig(PluginConfig):
    """Options of the fake hand."""

    twist: Vec6 = Field(default_factory=lambda: np.zeros(6))
    """Deflection in [-1, 1] from the start: translation x y z, rotation x y z."""
    buttons: tuple[bool, ...] = (False, False)
    """Buttons from the start."""


class FakeTeleop(FakeDevice, BaseTeleop):
    """A device that reports the last values of `steer`; active while one is deflected or pressed."""

    Config = FakeTeleopConfig

    def __init__(self, config: FakeTeleopConfig, context: CellContext) -> None:
        super().__init__(config, context)
        self.steer(config.twist, config.buttons)

    def steer(self, twist: Sequence[float] | np.ndarray, buttons: tuple[bool, ...] = (False, False)) -> None:
        """Play the human: deflect to `twist`, shape (6,), and press `buttons`; values outside [-1, 1] are refused.

        Raises:
            ValueError: a deflection outside [-1, 1].
        """
        deflection = np.array(twist, dtype=np.float64)
        if deflection.shape != (6,) or not (np.abs(deflection) <= 1.0).all():
            raise ValueError(f"a deflection has six numbers in [-1, 1], got {twist!r}")
        self._twist, self._buttons = deflection, tuple(buttons)

    def read(self) -> TeleopReading:
        """The present reading."""
        self.require_connected()
        return TeleopReading.unchecked(
            stamp_s=self.context.clock.now_s(),
            twist=self._twist.copy(),
            buttons=self._buttons,
            is_active=bool(self._twist.any() or any(self._buttons)),
        )
