"""`Arrivals`: over which connections each client commands, and which of its commands is the newest."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from servers.access import Client


class Departure(NamedTuple):
    """A client whose connection is closed; it is there all the same once a later command of it has arrived."""

    client: Client
    newest: int
    """Number of the newest command that had arrived from it by then."""
    begun: int = 0
    """`Arrivals.begun` by then."""


@dataclass
class _Record:
    client: Client
    newest: int = 0
    keeps: bool = False
    """True once it has commanded twice over one connection: whoever opens one for each command closes them all."""
    commands: dict[object, int] = field(default_factory=dict)
    """Number of commands over each of its open connections; the one that was used last is the last."""


class Arrivals:
    """Counts of commands, made on the event loop when a command arrives; any thread may ask for the newest."""

    def __init__(self) -> None:
        self._number = 0
        self._records: dict[Client, _Record] = {}
        self._record_of: dict[object, _Record] = {}
        self.begun = 0
        """Number of the newest command for the arm that acts, or has given it another target."""
        self._begun = count(1)

    def begin(self) -> None:
        """A command for the arm begins; who finds that it has changed nothing sets `begun` back."""
        self.begun = next(self._begun)

    def note(self, client: Client, connection: object, first: int = 1) -> None:
        """Count a command that has arrived over `connection`, of which the first one counts as `first`."""
        record = self._record_of.get(connection)
        if record is None or (record.client is not client and record.client != client):
            if record is not None:
                self.lost(connection)
            record = self._record_of[connection] = self._records.setdefault(client, _Record(client))
        before = record.commands.pop(connection, None)
        record.commands[connection] = first if before is None else before + 1
        record.keeps |= record.commands[connection] > 1
        self._number += 1
        record.newest = self._number

    def newest(self, client: Client) -> int | None:
        """Number of the newest command of `client`; None where none came over a connection that is open."""
        record = self._records.get(client)
        return None if record is None else record.newest

    def is_back(self, departure: Departure) -> bool:
        """Whether a later command of that client has arrived."""
        return (self.newest(departure.client) or 0) > departure.newest

    def commands_arm(self, departure: Departure) -> bool:
        """Whether what the arm follows is of a command that has begun since."""
        return self.begun > departure.begun

    def lost(self, connection: object) -> Departure | None:
        """Forget a connection that is closed; whoever is gone with it.

        A client that commands over connections which it keeps is gone when that of its newest command is closed; one
        over which a single command came counts only when it was the last that it had. A client that opens a connection
        for every command (curl, SERL's clients) is never gone.
        """
        record = self._record_of.pop(connection, None)
        if record is None:
            return None
        is_newest = next(reversed(record.commands)) is connection
        commands = record.commands.pop(connection)
        if not record.commands:
            del self._records[record.client]
        is_gone = is_newest and record.keeps and (commands > 1 or not record.commands)
        return Departure(record.client, record.newest, self.begun) if is_gone else None
