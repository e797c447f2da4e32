"""`SafetyEvent`: an event of an arm, for an audit log."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from robotkit.aside import aside_logger

_LOG = aside_logger(__name__)

EventKind = Literal["stop", "recover", "hold", "refused", "fault"]


@dataclass(frozen=True)
class SafetyEvent:
    """One event."""

    kind: EventKind
    """"stop": by anybody; "hold": by the watchdog; "refused": a command; "fault": the device reports one."""
    message: str
    author: str
    stamp_s: float
    """Time of the event, on the cell's clock."""


Observer = Callable[[SafetyEvent], None]


class Events:
    """Tells observers; one that fails is logged and changes nothing.

    What happens while the arm's lock is held is noted, and told when it is free again: no stop waits for an observer.
    """

    def __init__(self) -> None:
        self._observers: list[Observer] = []
        self._noted: deque[SafetyEvent] = deque()

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call `observer` with each event from now on; it must return at once. The result ends the subscription."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def note(self, event: SafetyEvent) -> None:
        """Keep it for `tell_noted`; also from signal handlers, and with any lock held."""
        self._noted.append(event)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell what is noted inside, however that ends; not with the arm's lock held."""
        try:
            yield
        finally:
            self.tell_noted()

    def tell_noted(self) -> None:
        """Tell every observer what was noted; not with the arm's lock held."""
        while self._noted:
            try:
                event = self._noted.popleft()
            except IndexError:  # another thread tells it
                return
            for observer in tuple(self._observers):
                try:
                    observer(event)
                except Exception:  # an observer must not come between a stop and the arm
                    _LOG.exception("an observer of the safety layer failed on %s", event)
