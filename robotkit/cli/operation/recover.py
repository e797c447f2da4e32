"""`robotkit recover`."""

from __future__ import annotations

from robotkit.cli.cell_argument import open_cell
from robotkit.cli.operation.connection import connected
from robotkit.cli.operation.question import confirmed, console_for_sentences, require_answerable
from robotkit.cli.operation.status import ArmStatus, arm_status, require_unchanged
from robotkit.cli.reading import keep_from_control
from robotkit.remote.devices import RemoteRobot


def recover(cell_name: str, token: str | None, is_confirmed: bool) -> int:
    """Recover the arm of a cell once a person has seen why it is down."""
    require_answerable(is_confirmed)
    console = console_for_sentences()
    cell = open_cell(cell_name, token)
    kept = keep_from_control(cell.robot, "robotkit recover")
    with connected(cell, cell.robot):
        before = arm_status(cell)
        is_only_read = kept is not None and kept.is_alone and before.mode == "stopped"
        if is_only_read or not before.is_down:
            console.print(f"There is nothing to recover from: {_healthy(before, is_only_read)}.")
            return 0
        for line in before.lines():
            console.print(line)
        if not confirmed("Is the cell clear, and may the arm take commands again?", is_confirmed):
            console.print("Nothing was done.")
            return 1
        require_unchanged(before, arm_status(cell))
        if isinstance(cell.robot, RemoteRobot):
            cell.robot.recover(before.stops)
        else:
            cell.robot.recover()
        after = arm_status(cell)
        for line in after.lines():
            console.print(line)
        return int(after.is_down)


def _healthy(status: ArmStatus, is_only_read: bool) -> str:
    if is_only_read:
        return "the arm reports no fault, and a stop does not outlive the process that has the arm"
    commander = f", commanded by {status.controlled_by}" if status.controlled_by else ""
    return f"the arm is {status.mode}{commander}"
