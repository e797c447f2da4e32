"""`robotkit state` and `robotkit stop`: look at a cell behind a server, and stop its robot."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from robotkit.errors import RobotkitError
from robotkit.schema import CellState
from robotkit.workcell import Workcell

if TYPE_CHECKING:
    from robotkit.remote import Session

_REFRESH_S = 0.2


@dataclass(frozen=True)
class Peer:
    """Which server."""

    url: str = "http://127.0.0.1:5000"
    """Address of the robot server."""
    token: str | None = None
    """Token of the server; also read from the variable ROBOTKIT_TOKEN."""
    timeout_s: float = 5.0
    """How long to wait for an answer."""

    def session(self) -> Session:
        """The connection to the server; nothing is sent yet."""
        from robotkit.remote import Session

        return Session(self.url, self._token(), self.timeout_s)

    def workcell(self) -> Workcell:
        """The remote cell, not yet connected."""
        from robotkit.remote import remote_workcell

        return remote_workcell(self.url, self._token(), self.timeout_s)

    def _token(self) -> str | None:
        return self.token or os.environ.get("ROBOTKIT_TOKEN") or None


@dataclass(frozen=True)
class State(Peer):
    """Show what a robot behind a server measures."""

    watch: bool = False
    """Go on showing until Ctrl-C."""

    def run(self) -> int:
        """Print the state once, or keep it on the screen."""
        with self.workcell() as cell:
            if not self.watch:
                Console().print(state_table(cell.name, cell.get_state()))
                return 0
            with Live(state_table(cell.name, cell.get_state())) as live:
                while True:
                    time.sleep(_REFRESH_S)
                    live.update(state_table(cell.name, cell.get_state()))


@dataclass(frozen=True)
class Stop(Peer):
    """Stop a robot behind a server; it refuses commands until it is recovered."""

    def run(self) -> int:
        """Stop the robot, before anything else is asked or understood; then read whether it is stopped, and say so."""
        with closing(self.session()) as session:
            try:
                session.stop()
                is_stopped = _says_stopped(session.get("/v1/robot/state").content)
            except RobotkitError as error:
                return _unconfirmed(str(error))
        if not is_stopped:
            return _unconfirmed(f"{self.url} took the stop and does not say that the robot is stopped")
        Console().print(Text(f"The robot behind {self.url} is stopped. It moves again after recover()."))
        return 0


def _says_stopped(content: bytes) -> bool:
    """Whether a state, of a server of any version, tells of a latched stop that the arm's device has taken."""
    try:
        state = json.loads(content)
    except ValueError:
        return False
    if not isinstance(state, dict) or state.get("is_halt_owed"):
        return False
    return state.get("mode") == "stopped" or bool(state.get("stop"))


def _unconfirmed(why: str) -> int:
    line = Text(f"robotkit: STOP NOT CONFIRMED - USE THE HARDWARE STOP: {why}", style="bold red")
    Console(stderr=True).print(line, soft_wrap=True)
    return 1


def state_table(name: str, state: CellState) -> Table:
    """The measurements of a cell, a row for each."""
    robot = state.robot
    table = Table("measurement", "value", "unit", title=Text(name), title_justify="left")
    table.add_row("mode", Text(robot.mode + (f" ({', '.join(robot.faults)})" if robot.faults else "")), "")
    if robot.stop is not None:
        table.add_row("stop", Text(f"{robot.stop.cause} (by {robot.stop.author})"), "")
    table.add_row("stamp", f"{robot.stamp_s:.3f}", "s")
    table.add_row("tcp position in base", _text(robot.tcp_pose_in_base[:3]), "m")
    table.add_row("tcp orientation in base", _text(robot.tcp_pose_in_base[3:]), "quaternion x y z w")
    table.add_row("tcp velocity in base", _text(robot.tcp_twist_in_base), "m/s, rad/s")
    table.add_row("wrench in tcp", _text(robot.wrench_in_tcp), "N, Nm")
    table.add_row("joint positions", _text(robot.joint_positions_rad), "rad")
    if state.gripper is not None:
        table.add_row("gripper", f"{state.gripper.position:.3f}", "0 closed, 1 open")
    for tracker, pose in state.poses.items():
        table.add_row(Text(tracker), _text(pose.pose_in_base), "m, quaternion x y z w")
    for device, report in state.errors.items():
        table.add_row(Text(device), Text(report.message), Text(report.code))
    return table


def _text(values: np.ndarray) -> str:
    return "  ".join(f"{value:+.4f}" for value in values)
