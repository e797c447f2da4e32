"""`SimulatedTime`: a cell's clock that waits for the simulator, so that a busy machine shortens no motion."""

from __future__ import annotations

import time

from robotkit.clock import Clock
from tests.support.franky_sim.client import FrankaSimulator

_PATIENCE_S = 5.0
"""An arm without a client stands still, and so does its time."""


class SimulatedTime(Clock):
    """Tells the wall's time; `advance` lets simulated time pass."""

    def __init__(self, simulator: FrankaSimulator) -> None:
        self._simulator = simulator

    @property
    def is_lockstep(self) -> bool:
        """False: this time passes by itself."""
        return False

    def now_s(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def advance(self, period_s: float) -> None:
        """Wait until the simulator has computed `period_s`."""
        give_up_s = time.monotonic() + _PATIENCE_S
        end_s = self._simulator.now_s() + period_s
        while self._simulator.now_s() < end_s and time.monotonic() < give_up_s:
            time.sleep(0.002)
