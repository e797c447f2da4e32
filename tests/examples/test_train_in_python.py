"""The example of a training in one process runs, and what it saved is a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.train_in_python import TrainInPython, train
from rl import SAC
from tests.rl.training.small_agents import ENV, one_thread

__all__ = ["one_thread"]


def test_it_trains_saves_and_evaluates(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    summary = train(TrainInPython(tmp_path / "run", env=ENV, steps=505, good_return=1e9))
    assert summary["episodes"] == 10
    shown = capsys.readouterr().out
    assert "after 505 steps: mean return" in shown
    assert str(tmp_path / "run" / "checkpoints") in shown.replace("\n", "")
    assert SAC.load(tmp_path / "run").updates == 5
