"""The verdicts of the doctor: what a check found, or why it could not be made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding weighs, the worst first."""

    CRITICAL = "critical"
    """The run cannot learn what it should."""
    SERIOUS = "serious"
    """The run learns less, or something else, than it should."""
    NOTICE = "notice"
    """The run is slower than it could be."""


class NotApplicable(Exception):
    """Raised by a check that lacks what it judges by; its text says what is missing."""


@dataclass(frozen=True)
class Symptom:
    """Something that a check found."""

    numbers: Mapping[str, float]
    """The evidence."""
    says: str
    """The evidence in a sentence, without a full stop."""
    remedy: str
    """An option of the command line to change, or an action."""


@dataclass(frozen=True)
class Finding:
    """A symptom with its name."""

    name: str
    severity: Severity
    symptom: Symptom

    def sentence(self) -> str:
        """Return name, evidence and remedy in a line."""
        return f"{self.name}: {self.symptom.says}. {self.symptom.remedy}"


@dataclass(frozen=True)
class Diagnosis:
    """The verdicts of all checks about a run."""

    findings: tuple[Finding, ...]
    """The worst first."""
    passed: tuple[str, ...]
    """Names of the checks that found nothing."""
    not_applicable: Mapping[str, str]
    """Checks that could not be made, each with the reason."""
