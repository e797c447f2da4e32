"""`Finding`: one line of a report, and the table of all of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from robotkit.cli.tables import make_table

Status = Literal["ok", "warning", "problem", "passed", "failed", "not applicable"]
_STYLES: dict[Status, str] = {
    "ok": "green",
    "warning": "yellow",
    "problem": "bold red",
    "passed": "green",
    "failed": "bold red",
    "not applicable": "dim",
}


@dataclass(frozen=True)
class Finding:
    """A line of a report: the thing examined, the result, and the remedy."""

    subject: str
    status: Status
    """The doctor's: "problem" keeps the simulator from running; "warning" takes something else away. `robotkit
    check`'s: "passed", "failed", or "not applicable" to this cell."""
    found: str
    fix: str = ""


def passed(subject: str, found: str) -> Finding:
    """A check that is fulfilled."""
    return Finding(subject, "passed", found)


def failed(subject: str, found: str, fix: str) -> Finding:
    """A check that is not fulfilled, and the remedy."""
    return Finding(subject, "failed", found, fix)


def not_applicable(subject: str, reason: str) -> Finding:
    """A check that has no meaning for this cell, and why."""
    return Finding(subject, "not applicable", reason)


def findings_table(findings: Sequence[Finding]) -> Table:
    """A row for each finding: verdict, subject, what was found and how to fix it."""
    table = make_table("", "subject", "found", "how to fix it")
    for finding in findings:
        verdict = Text(finding.status, style=_STYLES[finding.status])
        table.add_row(verdict, Text(finding.subject), Text(finding.found), Text(finding.fix))
    return table


def print_findings(findings: Sequence[Finding], as_json: bool) -> None:
    """Print the table, or a JSON list of objects with the fields of `Finding`."""
    if as_json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=1))  # noqa: T201
    else:
        Console().print(findings_table(findings))
