"""P19: a process of a run is ours in every folder, also in one that holds a folder of the same name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rl.utils.subprocesses import Child, run_module

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("names", [["rl"], ["envs", "sims", "servers", "tests"]])
def test_p19_a_folder_of_the_users_does_not_run_in_the_place_of_ours(
    names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('a foreign program runs')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    child = Child("learner", ("list",), tmp_path / "log", restarts_allowed=0)
    child.start()
    assert child.process is not None
    assert child.process.wait(60) == 0, child.log.read_text()
    assert "drq-demo" in child.log.read_text()


def test_p19_in_a_checkout_the_current_folder_is_where_the_package_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    assert run_module("rl") == [sys.executable, "-m", "rl"]
    monkeypatch.chdir(ROOT.parent)
    assert run_module("rl") == [sys.executable, "-P", "-m", "rl"]
