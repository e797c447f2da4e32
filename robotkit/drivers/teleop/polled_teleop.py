"""`PolledTeleop`: the base class of teleoperation devices with a reader thread."""

from __future__ import annotations

from robotkit.devices import BaseTeleop, CellContext
from robotkit.drivers.polling import Poller, Source
from robotkit.drivers.teleop.operator import OperatorConfig
from robotkit.schema import TeleopReading

_POLL_PERIOD_S = 0.005
_MAX_AGE_S = 0.25
"""The thread reports every 5 ms, also when the hand rests; a longer silence means that the device is gone."""


class PolledTeleop(BaseTeleop):
    """A thread reads the device, sleeps, and opens it again after it was unplugged.

    What the hand did before the device failed steers nothing any more.
    """

    def __init__(
        self,
        config: OperatorConfig,
        context: CellContext,
        source: Source[TeleopReading],
        kind: str,
        hint: str = "plug it in again",
    ) -> None:
        super().__init__(config, context)
        self._poller = Poller(
            source,
            f"{kind} {context.name!r}",
            max_age_s=_MAX_AGE_S,
            period_s=_POLL_PERIOD_S,
            hint=hint,
            forgets_on_failure=True,
        )

    @property
    def is_connected(self) -> bool:
        """True between `connect()` and `disconnect()`."""
        return self._poller.is_running

    def connect(self) -> None:
        """Open the device.

        Raises:
            ConnectionFailed: it is not there, or may not be read.
        """
        self._poller.start(wait_s=1.0)

    def disconnect(self) -> None:
        """Let the device go."""
        self._poller.stop()

    def read(self) -> TeleopReading:
        """The present reading."""
        self.require_connected()
        return self._poller.newest()
