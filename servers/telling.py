"""`Teller`: tells the audit log and the metrics what clients did to a cell, and what its safety layer did."""

from __future__ import annotations

import time

from robotkit.errors import RobotkitError
from robotkit.safety import SafetyEvent
from servers.access import Client, Scope
from servers.events import Event, EventHub, EventKind

_ASKED_FROM = "a stop was asked for from "
_OPERATORS_MAX = 1024


class Teller:
    """Tells who was refused, who recovered and who stopped, which only the server knows.

    The safety layer tells the rest.
    """

    def __init__(self) -> None:
        self.events = EventHub()
        self.stopped_s: float | None = None
        """When the stop that is latched came, in monotonic seconds, where this server heard of it."""
        self._operators: set[tuple[str, str]] = set()
        """Names and addresses of who has stopped with a token that operates."""

    def tell(self, kind: EventKind, client: Client, message: str = "", code: str = "") -> None:
        """Tell the audit log and the metrics what a client did."""
        is_weighty = client.scope >= Scope.OPERATE
        self.events.tell(Event(kind, message, client.name, client.address, code, is_weighty))

    def tell_of_arm(self, event: SafetyEvent) -> None:
        """Tell what the safety layer tells; who was refused and who recovered, only this server knows."""
        is_first = event.kind == "stop" and self.stopped_s is None
        if event.kind == "recover":
            self.stopped_s = None
        elif is_first:
            self.stopped_s = time.monotonic()
        if event.kind in ("stop", "hold", "fault"):
            address = event.message.removeprefix(_ASKED_FROM) if event.message.startswith(_ASKED_FROM) else ""
            is_weighty = is_first or (event.author, address) in self._operators
            self.events.tell(Event(event.kind, event.message, event.author, address, is_weighty=is_weighty))

    def tell_refused(self, client: Client, error: RobotkitError) -> None:
        """Tell that a client was refused, and why."""
        self.tell("refused", client, error.message, error.code)

    def tell_taken(self, holder: Client, previous: Client | None) -> None:
        """Tell of a new holder of the lease, and who had it before."""
        self.tell("control_taken", holder, f"before: {previous}" if previous not in (None, holder) else "")

    def cause_of_stop(self, client: Client) -> str:
        """The cause of a stop that a client asks for; its author is told as an operator where it is one."""
        if client.scope >= Scope.OPERATE and len(self._operators) < _OPERATORS_MAX:
            self._operators.add((client.name, client.address))
        return f"{_ASKED_FROM}{client.address}"

    def tell_hold(self, client: Client | None, why: str) -> None:
        """Tell that the arm was made to hold, and of whom it comes and why; the words say it where it was stopped."""
        name, address = (client.name, client.address) if client is not None else ("", "")
        self.events.tell(Event("hold", why, name, address))
