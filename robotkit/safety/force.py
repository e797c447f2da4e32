"""`ForceLimit`: stops an arm that pushes too hard."""

from __future__ import annotations

import math

from robotkit.devices import BaseRobotServer
from robotkit.errors import ForceLimitExceeded
from robotkit.safety.wrapper import SafetyWrapper
from robotkit.schema import RobotState, SafetyLimits


class ForceLimit(SafetyWrapper):
    """Checks the wrench of each measurement; above the limit it latches a stop and says so, once.

    Until `recover()` the measurements are then handed out unchecked, because whoever recovers has to see them.
    """

    def __init__(self, inner: BaseRobotServer, limits: SafetyLimits) -> None:
        super().__init__(inner)
        self._max_force_n = math.inf if limits.max_force_n is None else limits.max_force_n
        self._max_torque_nm = math.inf if limits.max_torque_nm is None else limits.max_torque_nm
        self._has_tripped = False

    def get_state(self) -> RobotState:
        """Measure.

        Raises:
            ForceLimitExceeded: the arm was stopped because of what it measured; `recover()` to go on.
        """
        state = self.inner.get_state()
        fx, fy, fz, tx, ty, tz = state.wrench_in_tcp.tolist()
        force_n = math.sqrt(fx * fx + fy * fy + fz * fz)
        torque_nm = math.sqrt(tx * tx + ty * ty + tz * tz)
        # Written so that a NaN counts as too much.
        if not (force_n <= self._max_force_n and torque_nm <= self._max_torque_nm) and not self._has_tripped:
            self._trip(force_n, torque_nm)
        return state

    def recover(self) -> None:
        """Recover the arm and watch again."""
        self.inner.recover()
        self._has_tripped = False

    def _trip(self, force_n: float, torque_nm: float) -> None:
        self._has_tripped = True
        self.inner.stop()
        raise ForceLimitExceeded(
            f"the tool felt {force_n:.1f} N and {torque_nm:.1f} Nm; at most {self._max_force_n} N and "
            f"{self._max_torque_nm} Nm are allowed. The robot was stopped: free it, then call recover()"
        )
