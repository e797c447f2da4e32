"""`robotkit watch`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.text import Text

from robotkit.cli.operation.connection import reading
from robotkit.cli.operation.report import CellReport, look, unseen
from robotkit.errors import DeviceError, Forbidden, InvalidConfiguration, RemoteError, Unauthorized
from robotkit.workcell import Workcell

_RATE_MAX_HZ = 50.0
_SILENT_AFTER_S = 1.0


@dataclass(frozen=True)
class Look:
    """The newest report, and when it came."""

    report: CellReport
    answered_s: float
    """When the cell answered last, in monotonic seconds."""
    silent_after_s: float = _SILENT_AFTER_S
    """An older answer is no news any more."""

    def __rich__(self) -> Text:
        """The line; it is made anew whenever the screen is, so that the age of a silent link grows."""
        return line(self.report, time.monotonic() - self.answered_s, self.silent_after_s)


def watch(cell_name: str, token: str | None, is_once: bool, as_json: bool, rate_hz: float) -> int:
    """Show a cell once, or until Ctrl+C."""
    if not 0.0 < rate_hz <= _RATE_MAX_HZ:
        raise InvalidConfiguration(f"--rate-hz {rate_hz:g}: allowed is above 0, at most {_RATE_MAX_HZ:g}")
    with reading(cell_name, token, "robotkit watch") as cell:
        looks = _looks(cell, rate_hz)
        first = next(looks)
        console = Console(highlight=False, soft_wrap=True)
        if is_once or as_json or not console.is_terminal:
            _print(console, first, as_json)
            if not is_once:
                for one in looks:
                    _print(console, one, as_json)
            return 0
        with Live(first, console=console, refresh_per_second=10) as live:
            for one in looks:
                live.update(one)
    return 0


def line(report: CellReport, link_age_s: float, silent_after_s: float = _SILENT_AFTER_S) -> Text:
    """Return the line that `watch` shows of a look that came `link_age_s` ago.

    It says so in red when that is too long.
    """
    text = Text(f"{report.cell}  ")
    is_silent = link_age_s > silent_after_s
    if report.error is not None or report.mode is None or report.tcp_pose_in_base is None:
        message = report.error["message"] if report.error is not None else "no answer"
        return text.append(f"NO ANSWER for {link_age_s:.1f} s: {message}", style="bold red")
    if is_silent:
        text.append(f"NO ANSWER for {link_age_s:.1f} s, before that: ", style="bold red")
    is_down = is_silent or report.mode in ("stopped", "fault")
    why = ", ".join(report.faults or ()) if report.mode == "fault" else ""
    if report.stop is not None:
        why = "; ".join(filter(None, (why, f"{report.stop['cause']} (by {report.stop['author']})")))
    text.append(report.mode + (f": {why}" if why else ""), style="bold red" if is_down else "bold green")
    if report.is_halt_owed:
        text.append("  IT MAY STILL MOVE - USE THE HARDWARE STOP", style="bold red")
    if report.moves_on:
        text.append("  IT MOVES - USE THE HARDWARE STOP, UNLESS SOMEBODY GUIDES IT", style="bold red")
    x, y, z = report.tcp_pose_in_base[:3]
    text.append(f"  tool {x:+z.3f} {y:+z.3f} {z:+z.3f} m")
    if report.wrench_in_tcp is not None:
        text.append(f"  force {float(np.linalg.norm(report.wrench_in_tcp[:3])):.1f} N")
    if report.gripper is not None:
        held = " holds" if report.gripper["is_grasping"] else ""
        text.append(f"  gripper {report.gripper['position']:.2f}{held}")
    for device in report.errors or ():
        text.append(f"  {device}: no measurement", style="yellow")
    text.append(f"  link {1e3 * (report.round_trip_s or 0.0):.0f} ms, {link_age_s:.1f} s ago")
    return text.append(f"  {report.controlled_by or 'nobody'} has control")


def _looks(cell: Workcell, rate_hz: float) -> Iterator[Look]:
    """A look at every tick; after the first one, a cell that does not answer is asked again."""
    look_s = time.monotonic()
    silent_after_s = max(_SILENT_AFTER_S, 2.0 / rate_hz)
    newest = Look(look(cell)[0], time.monotonic(), silent_after_s)
    yield newest
    while True:
        look_s = max(look_s + 1.0 / rate_hz, time.monotonic())
        time.sleep(max(0.0, look_s - time.monotonic()))
        try:
            newest = Look(look(cell)[0], time.monotonic(), silent_after_s)
        except (Unauthorized, Forbidden):
            raise
        except (RemoteError, DeviceError) as error:
            newest = Look(unseen(cell, error), newest.answered_s, silent_after_s)
        yield newest


def _print(console: Console, one: Look, as_json: bool) -> None:
    if as_json:
        print(one.report.json(), flush=True)  # noqa: T201
    else:
        console.print(one)
