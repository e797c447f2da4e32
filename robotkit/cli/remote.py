"""`robotkit state` and `robotkit stop`: look at a cell, and stop the robot behind a server."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robotkit.cells import is_url
from robotkit.cli.cell_argument import CellName
from robotkit.errors import InvalidConfiguration, RobotkitError

if TYPE_CHECKING:
    from robotkit.remote import Session

_HERE = "http://127.0.0.1:5000"
_CONFIRM_TIMEOUT_S, _MIN_LOOKS = 1.3, 6
"""How long, and in how many looks at least, an arm whose stop was answered may take to be measured standing; counted
from the first look on."""
_MOVED_TIMEOUT_S, _UNDECIDED_TIMEOUT_S = 3.0, 4.0
"""How long one may take that was said to move, and one of which noise hides whether it does."""
_STANDS_FOR_S = 1.0
"""Time for which an arm that was seen moving has to stand: it may only turn round."""
_UNMEASURED_S = 0.3
"""Time without a measurement after which a server is asked whether its cell is in lock-step."""
_PAUSE_S, _UNEVEN = 0.02, (0.0, 0.1, 0.25)
"""Pause between two looks, and what is added of the time that an answer takes: an arm that swings is not seen in the
same place each time."""


@dataclass(frozen=True)
class Peer:
    """The cell that a command works on, a server's unless another is named."""

    cell: CellName = _HERE
    """URL of the robot server."""
    url: str | None = None
    """URL of the robot server, as CELL."""
    token: str | None = None
    """Token of the server; also read from the variable ROBOTKIT_TOKEN."""
    timeout_s: float = 5.0
    """How long to wait for an answer."""

    @property
    def address(self) -> str:
        """Return the address that was named, by CELL or by --url.

        Raises:
            InvalidConfiguration: two different cells were.
        """
        if self.url is not None and self.cell not in (_HERE, self.url):
            raise InvalidConfiguration(f"{self.cell} and --url {self.url} name two cells; give one")
        return self.url or self.cell


@dataclass(frozen=True)
class State(Peer):
    """Show what a cell measures.

    Nothing is commanded, and control of an arm in this process does not start: it counts as stopped by this command.
    """

    cell: CellName = _HERE
    """A registered name (`robotkit list`), the path of a workcell file (.toml), or the URL of a robot server."""
    json: bool = False
    """Print the JSON object of `robotkit watch --json` in place of the table."""

    def run(self) -> int:
        """Print the state once."""
        from robotkit.cli.operation.state import show_state

        waiting = {"timeout_s": self.timeout_s} if is_url(self.address) else {}
        return show_state(self.address, self.token, self.json, **waiting)


@dataclass(frozen=True)
class Stop(Peer):
    """Stop a robot behind a server; it refuses commands until it is recovered."""

    def run(self) -> int:
        """Stop the robot, before anything else is asked or understood; then read whether it is stopped, and say so."""
        from robotkit.remote import Session
        from robotkit.remote.cell import token_or_variable

        if not is_url(self.address):
            raise InvalidConfiguration(
                f"{self.address!r} is no URL: only the process that has an arm can stop it. Give the URL of its server "
                "(http://host:port), or end that process; use the hardware stop if in doubt"
            )
        with closing(Session(self.address, token_or_variable(self.token), self.timeout_s)) as session:
            try:
                session.stop()
                why = _look_for_stop(session)
            except RobotkitError as error:
                return _unconfirmed(str(error))
        if why:
            return _unconfirmed(f"{self.address} took the stop, {why}")
        print(f"The robot behind {self.address} is stopped. It moves again after: robotkit recover {self.address}")  # noqa: T201
        return 0


def _look_for_stop(session: Session) -> str:
    """Look until the robot is stopped and was measured standing since; else why not.

    In lock-step, where an arm moves no further while no time passes, the latched stop is enough.
    """
    from robotkit.cli.seen_standing import SeenStanding
    from robotkit.schema.robot import MOVES_ON

    seen, looks, began_s = SeenStanding(), 0, 0.0
    moved_s: float | None = None
    is_lockstep: bool | None = None
    while True:
        asked_s = time.monotonic()
        state = _object(session.get("/v1/robot/state").content)
        now_s, looks = time.monotonic(), looks + 1
        began_s = began_s if looks > 1 else now_s
        looked_for_s = now_s - began_s
        if state.get("mode") != "stopped" and not state.get("stop"):
            return "and does not say that the robot is stopped"
        seen.add(state)
        stands, moves = seen.stands(), seen.moves()
        is_decided = moves or not seen.has_measured
        timeout_s = _CONFIRM_TIMEOUT_S if is_decided else _UNDECIDED_TIMEOUT_S
        timeout_s = timeout_s if moved_s is None else _MOVED_TIMEOUT_S
        is_late = looks >= _MIN_LOOKS and looked_for_s >= timeout_s
        if state.get("is_halt_owed") or state.get("moves_on"):
            why = "and its device has not taken it" if state.get("is_halt_owed") else f"and {MOVES_ON}"
            moved_s = now_s if state.get("moves_on") else moved_s
        elif stands and (moved_s is None or now_s - moved_s >= _STANDS_FOR_S):
            return ""
        else:
            if is_lockstep is None and (is_late or (looked_for_s >= _UNMEASURED_S and not seen.has_measured)):
                is_lockstep = _object(session.get("/v1/health").content).get("clock") == "lockstep"
            if is_lockstep:
                return ""
            why = "but the arm was not measured standing" if seen.has_measured else "but nothing was measured since"
            if moved_s is not None and moves and not stands:
                moved_s = now_s
        if is_late:
            return why
        time.sleep(_pause_s(looks, now_s - asked_s))


def _pause_s(looks: int, answer_s: float) -> float:
    return _PAUSE_S + answer_s * _UNEVEN[looks % len(_UNEVEN)]


def _object(content: bytes) -> dict[str, Any]:
    """Return the object that a server of any version tells."""
    try:
        told = json.loads(content)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _unconfirmed(why: str) -> int:
    from rich.console import Console
    from rich.text import Text

    line = Text(f"error: STOP NOT CONFIRMED - USE THE HARDWARE STOP: {why}", style="bold red")
    Console(stderr=True).print(line, soft_wrap=True)
    return 1
