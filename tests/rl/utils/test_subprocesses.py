"""P19: a process of a run is ours in every folder; and a signal that ends one comes at any moment."""

from __future__ import annotations

import itertools
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from rl.utils.subprocesses import Child, StopSignal, run_module
from tests.support.interruption import Interruption, interrupted

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


def test_a_signal_at_any_moment_of_a_wait_ends_it_and_is_kept():
    """Its handler runs in the thread that waits: a lock that is held there would be waited for without end."""
    for line in itertools.count(1):
        stop = StopSignal()
        signalled = Interruption(line, lambda stop=stop: stop._handle(signal.SIGTERM, None), ("subprocesses", "thread"))
        assert interrupted(lambda stop=stop: (stop.wait(0.01), stop.is_set(), stop.wait(0.01)), signalled) is None
        assert stop.is_set() == signalled.has_come
        if not signalled.has_come:
            break
    assert line > 5


def test_one_who_asks_for_the_end_wakes_everybody_who_waits():
    stop, woken = StopSignal(), []
    waiting = [threading.Thread(target=lambda: woken.append(stop.wait(60.0)), daemon=True) for _ in range(3)]
    for thread in waiting:
        thread.start()
    stop.set()
    for thread in waiting:
        thread.join(20.0)
    assert woken == [True] * 3
    began_s = time.monotonic()
    assert stop.wait(60.0)
    assert time.monotonic() - began_s < 30.0, "nobody waits any more"
