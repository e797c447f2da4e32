"""`robotkit home`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from robotkit.cli.cell_argument import open_cell
from robotkit.cli.operation.connection import connected
from robotkit.cli.operation.question import confirmed, console_for_sentences, require_answerable
from robotkit.cli.operation.rest import brought_to_rest
from robotkit.cli.operation.status import ArmStatus, arm_status, require_unchanged
from robotkit.errors import Busy, CommandRejected, ControlHeld, DeviceFault, RobotStopped
from robotkit.kinematics import ForwardKinematics
from robotkit.safety.body import BodyBounds
from robotkit.schema import RobotSpec, SafetyLimits
from robotkit.workcell import Workcell

_THERE_RAD = 0.01
"""An arm nearer than this is there; one that moved less while a person was asked still stands where it stood."""


@dataclass(frozen=True)
class Way:
    """The straight joint path to the reset joints."""

    start_rad: np.ndarray
    goal_rad: np.ndarray
    spec: RobotSpec
    limits: SafetyLimits

    @property
    def turns_rad(self) -> np.ndarray:
        """The angle by which each joint turns, without its sign, (n,)."""
        turns_rad: np.ndarray = np.abs(self.goal_rad - self.start_rad)
        return turns_rad

    def require_allowed(self) -> None:
        """Raise what the safety layer would raise before the motion begins; it has checked the goal's joint range.

        Raises:
            OutsideWorkspace: the path leaves the bounds of the cell.
        """
        chain, limits = self.spec.kinematics, self.limits
        if chain is not None:
            bounds = BodyBounds(
                chain, limits.workspace, limits.planes, limits.link_clearance_m, limits.joint_path_margin_m
            )
            bounds.check_path(self.start_rad, self.goal_rad)

    def describe(self) -> str:
        """A text that tells a person how far and how fast the arm will move."""
        joint = int(self.turns_rad.argmax())
        turn_rad, tool_m = float(self.turns_rad[joint]), self._tool_m()
        tool = "" if tool_m is None else f", and ends {tool_m:.3f} m from where the tool is"
        return (
            f"The arm moves to its reset joints: joint {joint + 1} turns farthest, {turn_rad:.3f} rad "
            f"({math.degrees(turn_rad):.1f} degrees){tool}. {self._speed(tool_m)}"
        )

    def _speed(self, tool_m: float | None) -> str:
        fastest_rad_s = self.spec.joint_velocity_max_rad_s
        if self.limits.max_joint_speed_rad_s is not None:
            fastest_rad_s = np.minimum(fastest_rad_s, self.limits.max_joint_speed_rad_s)
        least_s = float((self.turns_rad / fastest_rad_s).max())
        bounds = [f"no joint faster than {float(fastest_rad_s.max()):.2f} rad/s"]
        if self.limits.max_tcp_speed_m_s is not None:
            least_s = max(least_s, (tool_m or 0.0) / self.limits.max_tcp_speed_m_s)
            bounds.append(f"the tool no faster than {self.limits.max_tcp_speed_m_s:.2f} m/s")
        return f"It takes {least_s:.1f} s or more: {', '.join(bounds)}."

    def _tool_m(self) -> float | None:
        """Distance between where the tool is and where it ends, where the arm tells."""
        if self.spec.kinematics is None:
            return None
        start, goal = ForwardKinematics(self.spec.kinematics).tcp_poses(np.array((self.start_rad, self.goal_rad)))
        return float(np.linalg.norm(goal[:3] - start[:3]))


def home(cell_name: str, token: str | None, is_confirmed: bool) -> int:
    """Move an arm to its reset joints once a person has seen how far that is."""
    require_answerable(is_confirmed)
    console = console_for_sentences()
    cell = open_cell(cell_name, token)
    with connected(cell, cell.robot):
        shown = arm_status(cell)
        _require_movable(shown, cell_name)
        way = _way(cell)
        way.require_allowed()
        if way.turns_rad.max() < _THERE_RAD:
            console.print("The arm is at its reset joints already.")
            return 0
        console.print(way.describe())
        if not confirmed("Is the way clear, and may the arm move?", is_confirmed):
            console.print("Nothing was done.")
            return 1
        require_unchanged(shown, arm_status(cell))
        if float(np.abs(_way(cell).start_rad - way.start_rad).max()) > _THERE_RAD:
            raise CommandRejected("the arm was moved since you were asked, so nothing was done; run this again")
        console.print("Moving. Ctrl+C brings the arm to rest.")
        with brought_to_rest(cell):
            cell.robot.reset()
        off_rad = float(_way(cell).turns_rad.max())
        console.print(f"The arm is at its reset joints, {off_rad:.3f} rad off at most.")
        return 0


def _way(cell: Workcell) -> Way:
    spec = cell.robot.spec
    return Way(cell.robot.get_state().joint_positions_rad, spec.reset_joint_positions_rad, spec, cell.limits)


def _require_movable(status: ArmStatus, cell: str) -> None:
    why = " ".join(status.lines())
    if status.mode == "fault":
        raise DeviceFault(f"{why} Nothing was moved; look at the cell, then: robotkit recover {cell}")
    if status.mode == "stopped":
        raise RobotStopped(f"{why} Nothing was moved; look at the cell, then: robotkit recover {cell}")
    if status.controlled_by is not None:
        raise ControlHeld(f"{status.controlled_by} commands this cell; end that program first. Nothing was moved")
    if status.mode == "travelling":
        raise Busy("a joint motion is running; wait for its end. Nothing was moved")
