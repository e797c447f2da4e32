"""Laws of the end of the learner's loop: what actors tell as late as that is in the last checkpoint."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rl.link.messages import Report
from rl.training.learned import SuccessGoal
from rl.training.learner import LearnerLoop
from rl.training.trainer import Progress, Trainer
from rl.training.update_schedule import Schedule
from rl.utils.checkpoint import Checkpoints
from rl.utils.logger import Logger
from tests.rl.training.test_trainer import INTERVALS, NoBatches, Watched


class LateHub:
    """Actors that report their last episode at one moment, counted in looks for reports."""

    def __init__(self, at: int) -> None:
        self._left = at
        self.looks = 0

    def take_reports(self) -> list[tuple[str, Report]]:
        self.looks += 1
        self._left -= 1
        report = Report(topic="episode", weights_version=0, values={"return": 1.0})
        return [("actor-0", report)] if self._left == 0 else []

    def wait_for_disconnects(self, timeout_s: float) -> bool:
        return self.looks >= 4

    def lag(self) -> int | None:
        return None

    def publish(self, weights: object) -> None: ...
    def grant(self, env_steps: int) -> None: ...
    def finish(self) -> None: ...


@pytest.mark.parametrize("at", range(1, 6))
def test_an_episode_that_ends_with_the_last_step_is_counted_in_the_last_checkpoint(tmp_path: Path, at: int):
    progress, checkpoints, hub = Progress(300), Checkpoints(tmp_path / "checkpoints"), LateHub(at)
    trainer = Trainer(Watched(progress), INTERVALS, Logger([]), checkpoints, progress)
    loader = SimpleNamespace(poll=lambda: 300, buffered=300)
    schedule = Schedule(steps=300, training_starts=0, env_steps_per_update=300.0, max_lead=None)
    progress.env_steps, progress.updates = 300, 1
    loop = LearnerLoop(trainer, loader, hub, schedule, INTERVALS, SuccessGoal(None, tmp_path))
    loop.run(NoBatches(), threading.Event())
    loop.finish(NoBatches(), 60.0, threading.Event())
    counted = checkpoints.load()[1]["episodes"]
    assert counted == progress.episodes == int(at <= hub.looks)
    assert hub.looks >= 5


def test_l22_the_wait_for_the_last_evaluation_ends_with_a_stop(tmp_path: Path):
    progress, stop, hub = Progress(300), threading.Event(), LateHub(-1)

    def looks_for_ever(timeout_s: float) -> bool:
        assert hub.looks < 10, "a stop was not heeded"
        if hub.looks == 3:
            stop.set()
        return False

    hub.wait_for_disconnects = looks_for_ever  # type: ignore[method-assign]
    trainer = Trainer(Watched(progress), INTERVALS, Logger([]), None, progress)
    loader = SimpleNamespace(poll=lambda: 300, buffered=300)
    loop = LearnerLoop(trainer, loader, hub, Schedule(300, 0, None, None), INTERVALS, SuccessGoal(None, tmp_path))
    loop.finish(NoBatches(), 1e9, stop)
    assert hub.looks == 4
    assert "last evaluation" in str(progress.waiting_for)


@pytest.mark.parametrize(("updates", "is_told"), [(0, True), (2, True), (3, False)])
def test_l22_a_free_run_that_ends_untrained_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, updates: int, is_told: bool
):
    """A learner that is slower than its actors does one update at least, and is not called finished without a word."""
    progress = Progress(300)
    progress.env_steps, progress.updates = 300, updates
    trainer = Trainer(Watched(progress), INTERVALS, Logger([]), None, progress)
    loader = SimpleNamespace(poll=lambda: 300, buffered=300)
    hub = LateHub(-1)
    hub.silence_s = lambda: 0.0  # type: ignore[attr-defined]
    loop = LearnerLoop(trainer, loader, hub, Schedule(300, 0, None, None), INTERVALS, SuccessGoal(None, tmp_path))
    loop.run(NoBatches(), threading.Event())
    assert progress.updates == max(1, updates)
    assert ("hardly been trained" in caplog.text) == is_told


class Counting(LateHub):
    """Counts what is published, and lets a clock go on when somebody waits."""

    def __init__(self) -> None:
        super().__init__(-1)
        self.published: list[int] = []

    def publish(self, weights: Any) -> None:
        self.published.append(weights.version)

    def silence_s(self) -> float:
        return 0.0

    def wait_for_data(self, env_steps: int, timeout_s: float) -> bool:
        return True


@pytest.mark.parametrize(
    ("update_s", "every", "published"),
    [
        (0.001, 1, [1, 100, 200, 300]),
        (0.25, 1, list(range(1, 301))),
        (0.001, 7, [7, 107, 207, 300]),
        (0.25, 100, [100, 200, 300]),
    ],
)
def test_l19_weights_are_published_ten_times_a_second_at_most(
    tmp_path: Path, update_s: float, every: int, published: list[int]
):
    """However fast the updates are; the last ones always, and what waits when the learner waits for data."""
    progress, hub = Progress(300), Counting()
    trainer = Trainer(Watched(progress), INTERVALS, Logger([]), None, progress)
    loader = SimpleNamespace(poll=lambda: 300, buffered=300)
    schedule, intervals = Schedule(300, 0, 1.0, None), replace(INTERVALS, publish_every=every)
    goal = SuccessGoal(None, tmp_path)
    loop = LearnerLoop(trainer, loader, hub, schedule, intervals, goal, clock=lambda: update_s * progress.updates)
    loop.run(NoBatches(), threading.Event())
    assert progress.updates == 300
    assert sorted(set(hub.published)) == pytest.approx(published, abs=1)
    assert len(hub.published) <= len(published) + 1


def test_l19_nobody_waits_for_weights_while_the_learner_waits_for_data(tmp_path: Path):
    progress, hub, arrived = Progress(8), Counting(), iter([4] * 5)
    trainer = Trainer(Watched(progress), INTERVALS, Logger([]), None, progress)
    loader = SimpleNamespace(poll=lambda: next(arrived, 8), buffered=8)
    goal, schedule = SuccessGoal(None, tmp_path), Schedule(8, 0, 2.0, None)
    before: list[tuple[int, int]] = []
    hub.wait_for_data = lambda *_: bool(before.append((progress.updates, hub.published[-1])))  # type: ignore[method-assign]
    LearnerLoop(trainer, loader, hub, schedule, INTERVALS, goal, clock=lambda: 0.0).run(NoBatches(), threading.Event())
    assert before
    assert all(updates == newest for updates, newest in before)
    assert hub.published[-1] == progress.updates == 4
