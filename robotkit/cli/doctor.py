"""`robotkit doctor`: examines this machine, and says how to repair what does not work."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console

from robotkit import registry
from robotkit.cli import host_checks, software_checks
from robotkit.cli.finding import Finding, print_findings
from robotkit.cli.teleop_check import self_test


@dataclass(frozen=True)
class Doctor:
    """Examine this machine; the exit code is 1 when something keeps the simulator from running."""

    port: int = 5000
    """Port that the robot server will want."""
    teleop: str | None = None
    """Input device to test as well, such as "spacemouse": move all of it while the doctor watches."""
    watch_s: float = 5.0
    """How long to watch it."""
    json: bool = False
    """Print a JSON list in place of the table."""

    def run(self) -> int:
        """Print a line for each finding."""
        findings = examine(self.port)
        if self.teleop is not None:
            hand = registry.teleops.make(self.teleop)
            Console(stderr=self.json).print(
                f"Move {self.teleop} in every direction and press its buttons: {self.watch_s:g} s."
            )
            findings.append(self_test(self.teleop, hand, self.watch_s))
        print_findings(findings, self.json)
        return int(any(finding.status == "problem" for finding in findings))


def examine(port: int) -> list[Finding]:
    """Every finding, software first."""
    return [*software_checks.findings(), *host_checks.findings(port)]
