"""`robotkit check`: examines whether a cell is ready for its first motion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import TracebackType

from robotkit.cells import is_url
from robotkit.cli.cell_argument import CellArgument, open_cell, require_cell
from robotkit.cli.finding import Finding, failed, passed, print_findings
from robotkit.devices import Device
from robotkit.devices.first_cause import noted_on
from robotkit.devices.words import said_of
from robotkit.errors import ConfigurationError, InvalidConfiguration, RobotkitError
from robotkit.workcell import Workcell


@dataclass(frozen=True)
class Check(CellArgument):
    """Examine a cell before its first motion. Nothing moves: the check connects, reads and disconnects.

    Control of the arm starts where it stands, and only when its payload is right.

    Exit status: 0 everything that applies passed, 1 something failed, 2 there is no such cell.
    """

    watch_s: float = 1.0
    """How long to watch the arm, and then each camera."""
    residual_force_n: float = 3.0
    """Largest mean force that an arm may measure while nothing touches it."""
    residual_torque_nm: float = 1.0
    """Largest mean torque that an arm may measure while nothing touches it."""
    json: bool = False
    """Print a JSON list in place of the table."""

    def run(self) -> int:
        """Print a line for each check."""
        if not 0.0 < self.watch_s < math.inf:
            raise InvalidConfiguration(f"--watch-s {self.watch_s:g}: the time to watch must be positive")
        require_cell(self.cell)
        findings = self.examine()
        print_findings(findings, self.json)
        return int(any(finding.status == "failed" for finding in findings))

    def examine(self) -> list[Finding]:
        """Every finding: the limits first, then what the connected devices show."""
        # Here, because they import what no help needs.
        from robotkit.cli.arm_checks import arm_findings
        from robotkit.cli.interruptible import interruptible
        from robotkit.cli.limit_checks import limit_findings
        from robotkit.cli.reading import keep_from_control
        from robotkit.cli.sensor_checks import clock_finding, graphics_finding, sensor_findings

        try:
            cell = open_cell(self.cell, self.token)
        except RobotkitError as error:
            subject = "configuration" if isinstance(error, ConfigurationError) else "connection"
            fix = "start robotkit-serve there" if is_url(self.cell) else "correct the workcell file"
            return [failed(subject, error.message, fix)]
        if cell.gripper is not None:
            cell.gripper.activates_on_connect = False
        kept = keep_from_control(cell.robot, "robotkit check")
        with interruptible(), _Connected(cell) as connected:
            findings = [
                *limit_findings(cell),
                *connected.opening,
                clock_finding(cell, self.watch_s),
                *arm_findings(cell, kept, self.watch_s, self.residual_force_n, self.residual_torque_nm),
                *sensor_findings(cell, self.watch_s),
                graphics_finding(cell),
            ]
        return findings + connected.closing


class _Connected:
    """Devices of a cell, connected one by one, so that one that fails does not hide the others."""

    def __init__(self, cell: Workcell) -> None:
        self._cell = cell
        self._devices: list[Device] = []
        self.opening: list[Finding] = []
        self.closing: list[Finding] = []

    def __enter__(self) -> _Connected:
        try:
            for device in self._cell.devices():
                self._connect(device)
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        if not self.opening:
            self.opening.append(passed("connection", f"{len(self._devices)} devices answer"))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            for name, failure in self._cell.close_each(self._devices):
                if not isinstance(failure, Exception):
                    raise failure
                found = f"does not disconnect: {said_of(failure)}"
                self.closing.append(failed(name, found, "see what the message asks to check"))
        finally:
            with noted_on(error):
                self._cell.disconnect()

    def _connect(self, device: Device) -> None:
        try:
            device.connect()
        except Exception as error:  # a plugin's own errors too
            fix = "see what the message asks to check, and run this again"
            self.opening.append(failed(f"connection of {_name(device)}", said_of(error), fix))
        else:
            self._devices.append(device)


def _name(device: Device) -> str:
    return device.context.name
