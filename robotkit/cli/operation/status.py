"""`ArmStatus`: an arm's mode, its cause, and who has control, for an arm in this process or behind a server."""

from __future__ import annotations

from dataclasses import dataclass

from robotkit.devices import StatefulRobotServer
from robotkit.errors import CommandRejected, RobotkitError
from robotkit.remote import RemoteWorkcell
from robotkit.safety import SafeRobot
from robotkit.schema import RobotMode, StopRecord
from robotkit.schema.robot import MOVES_ON
from robotkit.workcell import Workcell


@dataclass(frozen=True)
class ArmStatus:
    """One look at an arm."""

    mode: RobotMode
    problems: tuple[str, ...]
    """Names of what is wrong, of an arm in a fault."""
    stop: StopRecord | None
    for_s: float | None
    """How long ago the stop or the fault came, where that is known."""
    controlled_by: str | None
    """Name of the client that commands; None in this process too."""
    target_epoch: int | None
    """Epoch of the target that the arm has now, not when it was measured last; None where nobody can tell."""
    is_halt_owed: bool = False
    """True while the arm's device has not taken a stop, or the halt of a fault."""
    stops: int | None = None
    """How often it had been stopped, where that is known."""
    moves_on: bool = False
    """True while the arm is measured moving although it is stopped or was halted."""

    @property
    def is_down(self) -> bool:
        """True of an arm that takes no command before it is recovered."""
        return self.mode in ("stopped", "fault")

    def lines(self) -> list[str]:
        """Why the arm takes no commands, for a person."""
        ago = "" if self.for_s is None else f", {self.for_s:.1f} s ago"
        found = []
        if self.mode == "fault":
            found.append(f"The arm is in a fault: {', '.join(self.problems) or 'it does not say which'}{ago}.")
        if self.stop is not None:
            when = "" if self.mode == "fault" else ago
            found.append(f"The arm is stopped: {self.stop.cause} (by {self.stop.author}{when}).")
        if self.is_halt_owed:
            found.append("Its device has not taken the stop and may still move: use the hardware stop.")
        if self.moves_on:
            found.append(f"{MOVES_ON[0].upper()}{MOVES_ON[1:]}.")
        return found or [f"The arm is {self.mode}."]


def arm_status(cell: Workcell) -> ArmStatus:
    """Look at the arm of a cell that is connected; one that cannot be measured is in a fault."""
    if isinstance(cell, RemoteWorkcell):
        return _remote_status(cell)
    robot = cell.robot
    assert isinstance(robot, SafeRobot | StatefulRobotServer), "a workcell's arm has the state machine"
    epoch = robot.machine.epoch  # before the look: what comes within it counts as unseen
    try:
        state = robot.get_state()
    except RobotkitError as error:
        return ArmStatus("fault", (f"{error.code}: {error.message}",), robot.machine.stop, None, None, epoch)
    since_s = state.fault_since_s if state.mode == "fault" else state.stop.since_s if state.stop is not None else None
    for_s = None if since_s is None else max(0.0, cell.clock.now_s() - since_s)
    return ArmStatus(
        state.mode, state.faults, state.stop, for_s, None, epoch, state.is_halt_owed, state.stops, state.moves_on
    )


def _remote_status(cell: RemoteWorkcell) -> ArmStatus:
    try:
        state = cell.robot.get_state()
        epoch, is_halt_owed, stops, moves_on = state.target_epoch, state.is_halt_owed, state.stops, state.moves_on
    except RobotkitError:  # the server's health says what is wrong
        epoch, is_halt_owed, stops, moves_on = None, False, None, False
    health = cell.health()
    epoch = epoch if health.target_epoch is None else health.target_epoch
    stops = stops if health.stops is None else health.stops
    return ArmStatus(
        health.robot_mode,
        health.problems,
        health.stop,
        health.stopped_for_s,
        health.controlled_by,
        epoch,
        is_halt_owed,
        stops,
        moves_on,
    )


def require_unchanged(shown: ArmStatus, now: ArmStatus) -> None:
    """Raise when something happened to the arm while a person read what was shown.

    Raises:
        CommandRejected: another stop, a fault, a recovery or a motion came meanwhile.
    """
    if any(getattr(shown, name) != getattr(now, name) for name in ("mode", "problems", "stop", "target_epoch")):
        raise CommandRejected(
            f"something happened to the arm since you were asked, so nothing was done. {' '.join(now.lines())} Look at "
            "the cell, and run this again"
        )
