"""`Finding`: one line of the doctor's report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """What was examined, how it is, and what to do about it."""

    subject: str
    status: Status
    """"problem" keeps the simulator from running; "warning" takes something else away."""
    found: str
    fix: str = ""
