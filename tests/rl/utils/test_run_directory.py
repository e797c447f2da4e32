"""A run's directory belongs to one learner at a time."""

import threading
from pathlib import Path

import pytest

from rl.errors import RunExists
from rl.utils.run_directory import hold_run
from rl.utils.subprocesses import StopSignal


def test_a_second_learner_waits_for_the_first_and_gives_up_in_the_end(tmp_path: Path):
    holds, may_go = threading.Event(), threading.Event()

    def first() -> None:
        with hold_run(tmp_path):
            holds.set()
            may_go.wait(30.0)

    learner = threading.Thread(target=first)
    learner.start()
    holds.wait(30.0)
    with pytest.raises(RunExists, match="another process still trains"), hold_run(tmp_path, timeout_s=0.0):
        pass
    threading.Timer(0.3, may_go.set).start()
    with hold_run(tmp_path, timeout_s=30.0):
        assert may_go.is_set()
    learner.join()


def test_the_wait_for_the_first_learner_can_be_stopped(tmp_path: Path):
    stop = StopSignal()
    stop.set()
    with hold_run(tmp_path), pytest.raises(RunExists), hold_run(tmp_path, timeout_s=1e6, stop=stop):
        raise AssertionError("two learners in one directory")
