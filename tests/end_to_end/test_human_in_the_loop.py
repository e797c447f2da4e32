"""A run with somebody at hand: what the human did is stored as done, marked, counted, and joins the demonstrations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from rich.console import Console

from rl.cli import main
from rl.data.journal import TransitionJournal
from rl.recording.record_demos import RecordDemosOptions, run_record_demos
from rl.utils.run_directory import JOURNAL

from .runs import SMALL, end, last_state, start

PEG = "envs:PandaPegInsertion-v0"
STEPS = 230


def test_the_hil_recipe_runs_with_a_scripted_human(tmp_path: Path, capsys):
    demos, out, log = tmp_path / "demos.sqlite", tmp_path / "run", tmp_path / "train.log"
    run_record_demos(RecordDemosOptions(PEG, demos, human="expert", episodes=1), Console(quiet=True))
    small = [*SMALL[2:], "--env", PEG, "--random-steps", "0", "--env-steps-per-update", "8", "--max-lead", "16"]
    process = start(
        *("train", "--preset", "hil", *small, "--human", "scripted", "--replay.demos", demos, "--steps", STEPS),
        *("--evaluation.every-steps", "0", "--out", out),
        log=log,
    )
    try:
        assert process.wait(150) == 0, log.read_text()
    finally:
        end(process)
    with TransitionJournal(out / JOURNAL, read_only=True) as journal:
        blocks = [block.transitions for block in journal.blocks()]
    by_human = np.concatenate([block["is_intervention"] for block in blocks])
    ends = np.flatnonzero(np.concatenate([block["dones"] for block in blocks]))
    starts = np.concatenate([[0], ends[:-1] + 1])
    assert len(ends) >= 2
    for first, last in zip(starts, ends, strict=True):
        assert not by_human[first : first + 40].any(), "the policy has its time"
        assert by_human[first + 40 : last + 1].all(), "then the human goes on to the end"
    logged = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    episodes = [line for line in logged if "episode/intervened_steps" in line]
    assert [line["episode/intervened_steps"] for line in episodes] == [last - first - 39.0 for first, last in zip(
        starts, ends, strict=True)]  # fmt: skip
    assert all(line["episode/interventions"] == 1.0 for line in episodes)
    assert last_state(out)["updates"] > 0
    main(["evaluate", "--out", str(out), "--episodes", "1"])
    assert "success" in capsys.readouterr().out
