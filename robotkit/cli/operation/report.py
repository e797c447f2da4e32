"""`CellReport`: one look at a cell, with the keys that `robotkit watch --json` and `state --json` print."""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass
from typing import Any

from robotkit.errors import RobotkitError
from robotkit.remote import RemoteWorkcell
from robotkit.schema import CellState, RobotMode
from robotkit.workcell import Workcell


@dataclass(frozen=True)
class CellReport:
    """Names are stable; None is not known, or not there."""

    cell: str
    clock: str
    """"real" or "lockstep"."""
    mode: RobotMode | None = None
    faults: list[str] | None = None
    stop: dict[str, Any] | None = None
    """cause, author, since_s on the cell's clock, code; the stop that is latched."""
    is_halt_owed: bool | None = None
    """True while the device has not taken a stop, or the halt of a fault: the arm may still move."""
    moves_on: bool | None = None
    """True while the arm is measured moving although it is stopped or was halted."""
    stamp_s: float | None = None
    """When the arm was measured, on the cell's clock."""
    age_s: float | None = None
    """How old that measurement was when it was asked for."""
    tcp_pose_in_base: list[float] | None = None
    """x, y, z in m, then a quaternion x, y, z, w."""
    tcp_twist_in_base: list[float] | None = None
    """m/s, then rad/s."""
    wrench_in_tcp: list[float] | None = None
    """N, then Nm, that the world exerts on the tool."""
    joint_positions_rad: list[float] | None = None
    joint_velocities_rad_s: list[float] | None = None
    control_success_rate: float | None = None
    gripper: dict[str, Any] | None = None
    """position (0 closed, 1 open), target_position, width_m, is_moving, is_grasping, stamp_s, raw."""
    poses: dict[str, list[float]] | None = None
    """Pose in the base frame by tracker."""
    errors: dict[str, dict[str, str]] | None = None
    """Devices that could not measure: code and message."""
    controlled_by: str | None = None
    """Name of the client that commands; None also of a cell in this process."""
    controlled_for_s: float | None = None
    round_trip_s: float | None = None
    """How long the look at the arm took."""
    error: dict[str, str] | None = None
    """code and message, when the cell could not be looked at."""

    def json(self) -> str:
        """Return the report as one line of JSON."""
        return json.dumps(dataclasses.asdict(self), allow_nan=False)


def look(cell: Workcell) -> tuple[CellReport, CellState]:
    """Look at a connected cell.

    Raises:
        RobotkitError: the arm cannot be measured, or the server cannot be used.
    """
    asked_s = time.monotonic()
    state = cell.get_state()
    round_trip_s = time.monotonic() - asked_s
    health = cell.health() if isinstance(cell, RemoteWorkcell) else None
    content = state.model_dump(mode="json")
    robot = content["robot"]
    report = dataclasses.replace(
        _empty(cell),
        mode=state.robot.mode,
        **{name: robot[name] for name in _OF_ROBOT},
        age_s=max(0.0, cell.clock.now_s() - state.robot.stamp_s),
        gripper=content["gripper"],
        poses={name: pose["pose_in_base"] for name, pose in content["poses"].items()},
        errors=content["errors"],
        controlled_by=health.controlled_by if health else None,
        controlled_for_s=health.controlled_for_s if health else None,
        round_trip_s=round_trip_s,
    )
    return report, state


_OF_ROBOT = (
    "faults", "stop", "is_halt_owed", "moves_on", "stamp_s", "tcp_pose_in_base", "tcp_twist_in_base",
    "wrench_in_tcp", "joint_positions_rad", "joint_velocities_rad_s", "control_success_rate",
)  # fmt: skip


def unseen(cell: Workcell, error: RobotkitError) -> CellReport:
    """The report of a look that failed."""
    return dataclasses.replace(_empty(cell), error={"code": error.code, "message": error.message})


def _empty(cell: Workcell) -> CellReport:
    return CellReport(cell=cell.name, clock="lockstep" if cell.clock.is_lockstep else "real")
