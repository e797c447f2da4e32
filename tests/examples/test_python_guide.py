"""The Python of the learner's guide and of the README runs, with fewer steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.examples.test_docs import ROOT, blocks
from tests.rl.training.small_agents import one_thread

__all__ = ["one_thread"]


@pytest.mark.parametrize("guide", ["README.md", "docs/learning.md"])
def test_the_python_of_a_guide_runs(guide: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    shown = [block for block in blocks(ROOT / guide, "python") if "from rl import" in block]
    for block in shown:
        # A first update and a few more; the first episodes of a Pendulum have 200 steps.
        short = block.replace("5_000", "503").replace("% 10 ==", "% 2 ==")
        short = short.replace("range(5)", "range(2)").replace("4_000, evaluate_every=400", "203, evaluate_every=200")
        exec(compile(short, guide, "exec"), names)
    assert names["agent"].env_steps == 503
    assert (tmp_path / "runs" / "pendulum" / "checkpoints").is_dir()
    assert (tmp_path / "runs" / "kept").is_dir() == (guide == "docs/learning.md")
