"""`Freshness`: refuses measurements that are too old."""

from __future__ import annotations

from robotkit.clock import Clock
from robotkit.devices import BaseRobotServer
from robotkit.errors import StaleState
from robotkit.safety.wrapper import SafetyWrapper
from robotkit.schema import RobotState


class Freshness(SafetyWrapper):
    """Compares the stamp of each measurement with the cell's clock."""

    def __init__(self, inner: BaseRobotServer, max_age_s: float, clock: Clock) -> None:
        super().__init__(inner)
        self._max_age_s = max_age_s
        self._clock = clock

    def get_state(self) -> RobotState:
        """Measure.

        Raises:
            StaleState: the newest measurement is older than allowed.
        """
        state = self.inner.get_state()
        age_s = self._clock.now_s() - state.stamp_s
        if age_s > self._max_age_s:
            raise StaleState(
                f"arm {self.spec.name!r} has measured nothing for {age_s:.3f} s; at most {self._max_age_s} s is "
                "allowed (limits.state_max_age_s). Check its cable and its controller, then reconnect"
            )
        return state
