"""`robotkit state`."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from robotkit.cli.operation.connection import reading
from robotkit.cli.operation.report import look
from robotkit.cli.tables import make_table
from robotkit.schema import CellState
from robotkit.schema.robot import MOVES_ON


def show_state(cell: str, token: str | None, as_json: bool, **overrides: Any) -> int:
    """Print what a cell measures, once."""
    with reading(cell, token, "robotkit state", **overrides) as opened:
        report, state = look(opened)
    if as_json:
        print(report.json())  # noqa: T201
    else:
        Console().print(state_table(report.cell, state))
    return 0


def state_table(name: str, state: CellState) -> Table:
    """The measurements of a cell, a row for each."""
    robot = state.robot
    table = make_table("measurement", "value", "unit", title=Text(name))
    table.add_row("mode", Text(robot.mode + (f" ({', '.join(robot.faults)})" if robot.faults else "")), "")
    if robot.stop is not None:
        table.add_row("stop", Text(f"{robot.stop.cause} (by {robot.stop.author})"), "")
    if robot.is_halt_owed:
        table.add_row("halt", Text("its device has not taken the stop and may still move: use the hardware stop"), "")
    if robot.moves_on:
        table.add_row("moves on", Text(MOVES_ON), "")
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
    return "  ".join(f"{value:+z.4f}" for value in values)
