"""`SafetyEvent`: what an audit log wants to know of an arm."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

_LOG = logging.getLogger(__name__)

EventKind = Literal["stop", "recover", "hold", "refused", "fault"]


@dataclass(frozen=True)
class SafetyEvent:
    """One event."""

    kind: EventKind
    """"stop": by anybody; "hold": by the watchdog; "refused": a command; "fault": the device reports one."""
    message: str
    author: str
    stamp_s: float
    """On the cell's clock."""


Observer = Callable[[SafetyEvent], None]


class Events:
    """Tells observers, in the thread in which it happens; one that fails is logged and changes nothing."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call `observer` with each event from now on; it must return at once. The result ends the subscription."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def tell(self, event: SafetyEvent) -> None:
        """Tell every observer."""
        for observer in tuple(self._observers):
            try:
                observer(event)
            except Exception:  # an observer must not come between a stop and the arm
                _LOG.exception("an observer of the safety layer failed on %s", event)
