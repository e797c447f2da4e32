"""A run that a reward classifier pays: recorded, trained by processes of their own, measured against the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rl.cli import main
from rl.data.journal import TransitionJournal
from rl.utils.run_directory import JOURNAL
from tests.end_to_end.runs import end, free_port, start
from tests.end_to_end.test_pixel_training import TINY
from tests.rl.wrappers.test_classifier_reward import store_untrained

ENV = ("--env", "tests.support.lamp_env:Lamp-v0")
LOOK = ("--frame-stack", "2", "--images.frames", "2", "--images.size", "32")
EXPERT = ("--expert", "tests.support.lamp_env:Blinker")


def test_the_verdict_pays_everywhere_and_the_evaluation_counts_the_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Everything passes this classifier, so that each episode ends at its second step, paid, lamp on or off."""
    reward = ("--reward-classifier", str(store_untrained(tmp_path / "classifier", threshold=0.0)))
    demos, out, port = tmp_path / "demos.sqlite", tmp_path / "run", free_port()
    main(["record", "demos", *ENV, *EXPERT, *LOOK, *reward, "--sees-images", "--episodes", "3", "--out", str(demos)])
    sizes = ("--link.port", port, "--steps", "60", "--checkpoint-every", "0")
    common = (*TINY, *ENV, *reward, *sizes, "--replay.demos", demos)
    logs = [tmp_path / "learner.log", tmp_path / "actor.log"]
    learner = start("learner", *common, "--out", out, log=logs[0])
    actor = start("actor", *common, log=logs[1])
    try:
        assert learner.wait(120) == 0, logs[0].read_text()
        assert actor.wait(60) == 0, logs[1].read_text()
    finally:
        end(learner, actor)
    with TransitionJournal(out / JOURNAL, read_only=True) as journal:
        batches = [batch for _, batch in journal.read()]
    for name, values in (("rewards", [0.0, 1.0]), ("masks", [1.0, 0.0])):
        stored = np.concatenate([batch[name] for batch in batches])
        np.testing.assert_array_equal(stored, np.resize(values, len(stored)))
    assert '"episode/env_success"' in (out / "metrics.jsonl").read_text()
    capsys.readouterr()
    main(["evaluate", "--out", str(out), "--episodes", "4"])
    printed = capsys.readouterr().out
    successes = round(4 * float(printed.split("success  ")[1].split("%")[0]) / 100)
    assert f"predictions: {4 - successes} false successes and 0 missed ones" in printed
