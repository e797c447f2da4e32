"""`EventHub`: tells the audit log and the metrics what happens to a cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from robotkit.aside import aside_logger

_log = aside_logger(__name__)

EventKind = Literal[
    "server_start", "server_stop", "control_taken", "control_released", "unauthorized", "refused",
    "stop", "recover", "recover_failed", "hold", "fault",
]  # fmt: skip


@dataclass(frozen=True)
class Event:
    """An event that a person asks about afterwards."""

    kind: EventKind
    message: str = ""
    author: str = ""
    """Name of the client, or of the part of the software."""
    address: str = ""
    """Network address of the client."""
    code: str = ""
    """Name of the error, where there is one; see `robotkit.errors`."""
    is_weighty: bool = False
    """True for what a client with a token that operates does, and for a stop of an arm that was not stopped before: no
    flood of other events takes it its name."""


Observer = Callable[[Event], None]


class EventHub:
    """Tells observers in the thread in which it happens; one that fails is logged and changes nothing."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []

    def subscribe(self, observer: Observer) -> None:
        """Call `observer` with each event from now on; it must return at once."""
        self._observers.append(observer)

    def tell(self, event: Event) -> None:
        """Tell every observer."""
        for observer in self._observers:
            try:
                observer(event)
            except Exception:  # an observer must not come between a stop and the arm
                _log.exception("an observer failed on %s", event)
