"""The command that names why a run fails."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from rl.cli.command import Command
from rl.utils.subprocesses import Stop

FOUND = 3
"""Exit status of a doctor that found something."""


@dataclass(frozen=True)
class DoctorOptions:
    """Examine a run, which may be under way, from what it has logged: metrics, transitions and configuration.

    Exit status: 0 nothing was found, 2 there is no run, 3 something was found.
    """

    run: tyro.conf.Positional[Path]
    """Directory of the run."""
    json: bool = False
    """Print one JSON object: findings, passed, not_applicable."""


def doctor(options: DoctorOptions, stop: Stop) -> None:
    """Examine a run.

    Raises:
        SystemExit: something was found.
    """
    from rl.training.doctor.read_run import read_run
    from rl.training.doctor.report import to_json, to_text
    from rl.training.doctor.table import examine

    diagnosis = examine(read_run(options.run))
    print((to_json if options.json else to_text)(str(options.run), diagnosis))  # noqa: T201
    if diagnosis.findings:
        raise SystemExit(FOUND)


DOCTOR = Command("name why a run fails, from what it has logged", DoctorOptions, doctor)
