"""`Moments`: what had come to an arm when a command was asked for, by which a late one is refused."""

from __future__ import annotations

from threading import Lock
from typing import NamedTuple

from robotkit.devices import BaseRobotServer
from robotkit.devices.machine import Moment
from robotkit.errors import InvalidCommand
from robotkit.safety import SafeRobot
from robotkit.schema.wire import SEEN_HEADER
from servers.access import Client

_DIGITS = 18


class OwnHolds(NamedTuple):
    """Holds without one of anybody else between them, by their numbers."""

    client: Client
    first: int
    newest: int


class Moments:
    """The moments of one arm; one without a state machine has none, and refuses nothing here.

    Args:
        robot: the arm.
    """

    def __init__(self, robot: BaseRobotServer) -> None:
        self._machine = robot.machine if isinstance(robot, SafeRobot) else None
        self._noting = Lock()
        self._newest_holds: OwnHolds | None = None

    @property
    def now(self) -> Moment | None:
        """The counts of what has come to the arm until now; None where this server cannot tell."""
        return None if self._machine is None else self._machine.moment

    def require_nothing_since(self, moment: Moment | None, commands_arm: bool = True) -> None:
        """Raise when a stop, a recovery or a hold came after `moment`, as `ArmMachine.require_nothing_since` does."""
        if moment is not None and self._machine is not None:
            self._machine.require_nothing_since(moment, commands_arm)

    def note_hold_of(self, client: Client) -> OwnHolds | None:
        """Note a hold of this client, and return the holds that end with it.

        What was asked for before is not carried out after it.
        """
        if self._machine is None:
            return None
        with self._noting:
            number, before = self._machine.note_hold(), self._newest_holds
            is_next = before is not None and (before.client, before.newest) == (client, number - 1)
            first = before.first if before is not None and is_next else number
            self._newest_holds = holds = OwnHolds(client, first, number)
            return holds

    def newest_holds_of(self, client: Client) -> OwnHolds | None:
        """The holds of this client without one of anybody else after them, whether the arm has held or not."""
        holds = self._newest_holds
        return None if holds is None or holds.client != client else holds

    def only_one_since(self, before: Moment | None) -> Moment | None:
        """The counts of what has come, when since `before` no stop has, and no more than one hold or one recovery."""
        now = self.now
        if before is None or now is None or now.stops != before.stops:
            return None
        return now if now.holds + now.recoveries <= before.holds + before.recoveries + 1 else None


def moment_of(text: str) -> Moment:
    """The counts of what had come to the arm by the state that a client names in `SEEN_HEADER`.

    Raises:
        InvalidCommand: it names none.
    """
    numbers = text.split(",")
    if len(numbers) != len(Moment._fields) or not all(map(_is_count, numbers)):
        raise InvalidCommand(
            f"{SEEN_HEADER} must be the stops, recoveries and holds of a state of the arm, such as '2,1,0', not "
            f"{text[:40]!r}"
        )
    return Moment(*map(int, numbers))


def seen_with(holds: OwnHolds | None, asked_at: Moment | None) -> Moment | None:
    """Return what a client has seen that asked for these holds when it had seen `asked_at`.

    It is None where others come between.
    """
    if holds is None or asked_at is None or asked_at.holds + 1 < holds.first:
        return None
    return asked_at._replace(holds=max(asked_at.holds, holds.newest))


def headers_of(moment: Moment | None) -> dict[str, str] | None:
    """The header that tells a client what it has seen; None where it does not know everything that came."""
    return None if moment is None else {SEEN_HEADER: ",".join(map(str, moment))}


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS
