"""Learner and actor learn from images in processes of their own; the learner is killed, and goes on where it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rl.cli import main
from rl.data.journal import TransitionJournal
from rl.utils.run_directory import JOURNAL

from .runs import end, free_port, last_state, start, wait_for_status

TINY = (
    *("--preset", "drq-demo", "--env", "tests.support.tiny_pixels:FollowLight-v0", "--images.size", "32"),
    *("--frame-stack", "2", "--images.frames", "2", "--learner-threads", "1", "--batch-size", "8"),
    *("--agent.encoder.bottleneck-dim", "8", "--agent.hidden-dims", "16", "--log-every", "5"),
    *("--random-steps", "20", "--training-starts", "20", "--env-steps-per-update", "4", "--max-lead", "20"),
    *("--checkpoint-every", "10", "--publish-every", "1", "--evaluation.every-steps", "0", "--replay.n-step", "2"),
)


def test_a_killed_pixel_learner_goes_on_from_its_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out, port, steps = tmp_path / "run", free_port(), 220
    common = (*TINY, "--link.port", port, "--steps", steps)
    logs = [tmp_path / "learner.log", tmp_path / "actor.log"]
    learner = start("learner", *common, "--out", out, log=logs[0])
    actor = start("actor", *common, log=logs[1])
    try:
        wait_for_status(port, lambda found: found["progress"]["updates"] >= 12, 90.0)
        end(learner)
        learner = start("learner", *common, "--out", out, "--resume", log=logs[0])
        assert learner.wait(120) == 0, logs[0].read_text()
        assert actor.wait(60) == 0, logs[1].read_text()
    finally:
        end(learner, actor)
    assert "resumed after" in logs[0].read_text()
    assert last_state(out)["updates"] == (steps - 20) // 4
    with TransitionJournal(out / JOURNAL, read_only=True) as journal:
        batches = [batch for _, batch in journal.read()]
    transitions = {
        when: np.concatenate([b[when]["front"] for b in batches]) for when in ("observations", "next_observations")
    }
    goes_on = np.concatenate([b["dones"] for b in batches])[:-1] == 0
    assert len(transitions["observations"]) == steps
    np.testing.assert_array_equal(
        transitions["observations"][1:][goes_on], transitions["next_observations"][:-1][goes_on]
    )
    main(["evaluate", "--out", str(out), "--episodes", "2"])
    assert f"checkpoint after {(steps - 20) // 4} updates, 2 episodes" in capsys.readouterr().out
