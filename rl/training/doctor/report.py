"""The diagnosis as text for a person, or as JSON for a program."""

from __future__ import annotations

import json
import math
from typing import Any

from rl.training.doctor.verdicts import Diagnosis


def to_text(name: str, diagnosis: Diagnosis) -> str:
    """The findings, the worst first, or one line that there are none; then the checks that could not be made."""
    lines: list[str] = []
    for finding in diagnosis.findings:
        symptom = finding.symptom
        numbers = ", ".join(f"{key} {value:.4g}" for key, value in symptom.numbers.items())
        lines += [
            f"{finding.severity}: {finding.name}",
            f"  evidence: {symptom.says} ({numbers})",
            f"  remedy: {symptom.remedy}",
        ]
    if not lines:
        made = len(diagnosis.passed)
        lines.append(f"{name}: {made} checks found nothing" if made else f"{name}: no check could be made yet")
    if diagnosis.not_applicable:
        lines.append("not applicable:")
        lines += [f"  {check}: {reason}" for check, reason in diagnosis.not_applicable.items()]
    return "\n".join(lines)


def to_json(name: str, diagnosis: Diagnosis) -> str:
    """The diagnosis as one JSON object; a number that is not finite is null, for JSON has no word for it."""
    findings: list[dict[str, Any]] = [
        {
            "name": finding.name,
            "severity": finding.severity.value,
            "evidence": {
                key: value if math.isfinite(value) else None for key, value in finding.symptom.numbers.items()
            },
            "says": finding.symptom.says,
            "remedy": finding.symptom.remedy,
        }
        for finding in diagnosis.findings
    ]
    facts = {
        "run": name,
        "findings": findings,
        "passed": list(diagnosis.passed),
        "not_applicable": dict(diagnosis.not_applicable),
    }
    return json.dumps(facts, indent=2, allow_nan=False)
