"""The training doctor names a learner that is too slow for its actor, and an actor that waits, in real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl.training.doctor.read_run import read_run
from rl.training.doctor.table import examine

from .runs import SMALL, end, start

PACE = ("--batch-size", "512", "--agent.hidden-dims", "128", "128", "--log-every", "1")
"""An update takes far longer than a step of the environment."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pace", "steps", "told"),
    [
        # Nothing keeps the actor from running ahead.
        (("--utd-ratio", "8", "--env-steps-per-update", "None", "--max-lead", "None"), 20_000, "updates_missing"),
        (("--utd-ratio", "16", "--env-steps-per-update", "2", "--max-lead", "2"), 240, "actor_starved"),
        (("--utd-ratio", "1", "--env-steps-per-update", "100", "--max-lead", "400"), 2_000, None),
    ],
)
def test_the_doctor_names_who_waits_and_who_is_behind(
    pace: tuple[str, ...], steps: int, told: str | None, tmp_path: Path
):
    log, out = tmp_path / "train.log", tmp_path / "run"
    process = start(
        "train", *SMALL, *PACE, *pace, "--evaluation.every-steps", 0, "--steps", steps, "--out", out, log=log
    )
    try:
        assert process.wait(240) == 0, log.read_text()
    finally:
        end(process)
    diagnosis = examine(read_run(out))
    found = {finding.name for finding in diagnosis.findings}
    assert found & {"updates_missing", "actor_starved"} == ({told} if told else set()), diagnosis
