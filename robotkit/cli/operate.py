"""The options of `robotkit recover`, `home`, `gripper`, `cameras` and `watch`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robotkit.cli.cell_argument import CellArgument


@dataclass(frozen=True)
class Recover(CellArgument):
    """Say why the arm takes no commands, ask, and recover it: it then holds where it is measured. Nothing moves.

    A stop belongs to who pressed it: behind a server with tokens, another's stop needs the token for "operate".

    Exit status: 0 recovered, or there was nothing to recover from; 1 not recovered; 2 the request was wrong.
    """

    yes: bool = False
    """Do not ask. Programs may command the arm again at once: make sure that the cell is clear."""

    def run(self) -> int:
        """Look, ask, recover, look again."""
        from robotkit.cli.operation.recover import recover

        return recover(self.cell, self.token, self.yes)


@dataclass(frozen=True)
class Home(CellArgument):
    """Move the arm to its reset joints, within the limits of its cell: says how far and how fast, and asks.

    An arm that is stopped or in a fault, or that somebody else commands, does not move. Ctrl+C brings it to rest.

    Exit status: 0 it is there, 1 it is not, 2 the request was wrong, 130 interrupted.
    """

    yes: bool = False
    """Do not ask. Make sure that the way is clear."""

    def run(self) -> int:
        """Look, check the whole path, ask, move."""
        from robotkit.cli.operation.home import home

        return home(self.cell, self.token, self.yes)


@dataclass(frozen=True)
class Gripper(CellArgument):
    """Move the fingers, and wait until they stand. The arm is not commanded.

    Exit status: 0 the fingers stand, 1 they do not, 2 the request was wrong, 130 interrupted.
    """

    to: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="open|close|POSITION")] = tyro.MISSING
    """A position is a number from 0 (closed) to 1 (open)."""
    activate: bool = False
    """Make a gripper ready first, if it is not: its fingers then travel to both ends."""
    timeout_s: float = 10.0
    """How long the fingers may take."""

    def run(self) -> int:
        """Check, move, wait."""
        from robotkit.cli.operation.gripper import move_fingers

        return move_fingers(self.cell, self.token, self.to, self.activate, self.timeout_s)


@dataclass(frozen=True)
class Cameras(CellArgument):
    """Save one picture of each camera, and tell its rate and how old its pictures are. The arm is not connected.

    Exit status: 0 every camera gave a picture, 1 one did not, 2 the request was wrong.
    """

    out: Path = Path("pictures")
    """Folder for CELL-CAMERA.png; earlier pictures of the same cell are replaced."""
    sheet: bool = False
    """Save one contact sheet, CELL.png, in place of a picture for each camera."""
    watch_s: float = 1.0
    """How long to watch each camera."""
    json: bool = False
    """Print a JSON list in place of the table."""

    def run(self) -> int:
        """Watch each camera, save its newest picture."""
        from robotkit.cli.operation.cameras import save_pictures

        return save_pictures(self.cell, self.token, self.out, self.sheet, self.watch_s, self.json)


@dataclass(frozen=True)
class Watch(CellArgument):
    """Show the cell in one line that is kept up to date: mode, tool, force, gripper, link, who has control.

    Nothing is commanded, and control of an arm in this process does not start: it counts as stopped by this command.
    A server that does not answer is asked again until Ctrl+C.

    Exit status: 0 shown, 1 the first look failed, 2 the request was wrong, 130 interrupted.
    """

    once: bool = False
    """Look once and end."""
    json: bool = False
    """Print a JSON object for each look, with the same keys every time; null is not known."""
    rate_hz: float = 5.0
    """How often to look."""

    def run(self) -> int:
        """Look again and again."""
        from robotkit.cli.operation.watch import watch

        return watch(self.cell, self.token, self.once, self.json, self.rate_hz)
