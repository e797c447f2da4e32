"""`PacketWatch`: finds out that a control box has fallen silent while a motion runs."""

from __future__ import annotations

from collections.abc import Callable

SILENCE_S = 1.0
"""libfranka itself gives a motion up when no packet has come for so long; then it waits for ever for the answer to its
last word, and still says that the motion runs."""
_POLL_PERIOD_S = 0.05


class PacketWatch:
    """Looks at the newest packet's time 20 times a second at most, however often it is asked.

    A box is silent when two looks in a row find its newest packet older than `SILENCE_S`: after one look, this process
    may itself have been suspended, and what came meanwhile is not yet read.

    Args:
        now_s: this machine's monotonic time.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self.begin()

    def begin(self) -> None:
        """A motion begins."""
        self._packet_s: float | None = None
        self._since_s = self._looked_s = self._now_s()
        self._was_overdue = self._is_silent = False

    def is_silent(self, packet_time_s: Callable[[], float]) -> bool:
        """True when the box is silent, and until a motion begins; `packet_time_s` tells the newest packet's time."""
        now_s = self._now_s()
        if now_s - self._looked_s >= _POLL_PERIOD_S:
            self._look(now_s, packet_time_s())
        return self._is_silent

    def _look(self, now_s: float, packet_s: float) -> None:
        self._looked_s = now_s
        if packet_s != self._packet_s:
            self._packet_s, self._since_s, self._was_overdue = packet_s, now_s, False
            return
        is_overdue = now_s - self._since_s > SILENCE_S
        self._is_silent = self._is_silent or (is_overdue and self._was_overdue)
        self._was_overdue = is_overdue
