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
    from robotkit.devices.recent_places import RecentPlaces
    from robotkit.remote import Session

_HERE = "http://127.0.0.1:5000"
_LOOK_FOR_S = 1.0
"""How long a stop that was answered may be one that the arm's device has not taken yet."""
_BRAKING_S = 0.7
"""After so long a server says of an arm whether it moves although it is stopped."""
_STOOD_S, _STILL = 0.2, 0.001
"""An arm whose joints and tool were measured within so many rad and m for so long stands."""
_POLL_PERIOD_S = 0.05


@dataclass(frozen=True)
class Peer:
    """Which cell, a server's unless another is named."""

    cell: CellName = _HERE
    """URL of the robot server."""
    url: str | None = None
    """The same as CELL."""
    token: str | None = None
    """Token of the server; also read from the variable ROBOTKIT_TOKEN."""
    timeout_s: float = 5.0
    """How long to wait for an answer."""

    @property
    def address(self) -> str:
        """What was named.

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
    """Look until the robot is stopped and stands, by its places or because it has had the time to brake; else why not.

    Of a stop that its device has not taken, or after which it moves, for a second.
    """
    from robotkit.devices.recent_places import RecentPlaces
    from robotkit.schema.robot import MOVES_ON

    began_s, places = time.monotonic(), RecentPlaces(window_s=_STOOD_S, oldest_s=_LOOK_FOR_S)
    while True:
        state = _state(session.get("/v1/robot/state").content)
        looked_for_s = time.monotonic() - began_s
        if state.get("mode") != "stopped" and not state.get("stop"):
            return "and does not say that the robot is stopped"
        if state.get("is_halt_owed") or state.get("moves_on"):
            why = "and its device has not taken it" if state.get("is_halt_owed") else f"and {MOVES_ON}"
            if looked_for_s >= _LOOK_FOR_S:
                return why
        elif _stands(places, state) or looked_for_s >= _BRAKING_S:
            return ""
        time.sleep(_POLL_PERIOD_S)


def _state(content: bytes) -> dict[str, Any]:
    """A state as a server of any version tells it."""
    try:
        state = json.loads(content)
    except ValueError:
        return {}
    return state if isinstance(state, dict) else {}


def _stands(places: RecentPlaces, state: dict[str, Any]) -> bool:
    """Whether the arm is measured standing, by what this state adds; False where it tells no place."""
    import numpy as np

    try:
        place = np.array([*state["joint_positions_rad"], *state["tcp_pose_in_base"][:3]], dtype=np.float64)
        places.add(float(state["stamp_s"]), place)
        way = places.newest_way()
    except (KeyError, TypeError, ValueError):
        return False
    return way is not None and way.largest_rad <= _STILL


def _unconfirmed(why: str) -> int:
    from rich.console import Console
    from rich.text import Text

    line = Text(f"robotkit: STOP NOT CONFIRMED - USE THE HARDWARE STOP: {why}", style="bold red")
    Console(stderr=True).print(line, soft_wrap=True)
    return 1
