"""U7: what takes long about the first update is said while it lasts, once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl.common.typing import Batch, Metrics
from rl.errors import CheckpointError
from rl.presets import make_preset
from rl.training.learner_parts import say_first_update
from rl.training.trainer import LoopIntervals, Progress, Trainer
from rl.utils.checkpoint import Checkpoints
from rl.utils.logger import Logger

INTERVALS = LoopIntervals(utd_ratio=1, publish_every=1, log_every=1, checkpoint_every=0, silence_s=30.0)


class NoBatches(Iterator[Batch]):
    def __next__(self) -> Batch:
        return {}

    def state_dict(self) -> Any:
        return {}


class Watched:
    """An agent that looks at what its trainer tells of itself during an update."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.seen: list[str | None] = []
        self.fails = False

    def update_high_utd(self, batch: Batch, utd_ratio: int) -> Metrics:
        self.seen.append(self._progress.busy_with)
        if self.fails:
            raise RuntimeError("no")
        return {}

    def policy_state_dict(self) -> dict[str, np.ndarray]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}


def test_u7_the_first_update_says_what_it_takes_and_the_others_nothing(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    progress = Progress(100)
    agent = Watched(progress)
    trainer = Trainer(agent, INTERVALS, Logger([]), None, progress, "compiling the update, once: about 40 s")
    for _ in range(3):
        trainer.update(NoBatches())
    assert agent.seen == ["compiling the update, once: about 40 s", None, None]
    assert progress.busy_with is None
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "compiling the update, once",
        "the first update took 0 s",
    ]


def test_an_update_that_fails_is_not_shown_as_going_on():
    progress = Progress(100)
    agent = Watched(progress)
    agent.fails = True
    with pytest.raises(RuntimeError):
        Trainer(agent, INTERVALS, Logger([]), None, progress, "compiling").update(NoBatches())
    assert progress.busy_with is None


def test_u7_what_is_not_compiled_has_no_long_first_update(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rl.training.learner_parts.why_not_compile", lambda: None)
    config = make_preset("default")
    assert say_first_update(replace(config, compile=False)) is None
    assert (say_first_update(config) or "").startswith("compiling the update, once: ")
    monkeypatch.setattr("rl.training.learner_parts.why_not_compile", lambda: "no C++ compiler was found")
    assert say_first_update(config) is None


def test_u6_the_logged_rates_are_those_of_the_wall_time(monkeypatch: pytest.MonkeyPatch):
    now_s = [50.0]
    monkeypatch.setattr("rl.training.trainer.time.monotonic", lambda: now_s[0])
    lines: list[dict[str, float]] = []

    class Lines:
        def write(self, step: int, metrics: dict[str, float]) -> None:
            lines.append(metrics)

        def close(self) -> None: ...

    progress = Progress(1000)
    trainer = Trainer(Watched(progress), INTERVALS, Logger([Lines()]), None, progress)
    for update in range(1, 6):
        metrics = trainer.update(NoBatches())
        now_s[0] += 2.0
        progress.env_steps = 10 * update
        trainer.keep(metrics, NoBatches())
    assert [(line["updates_per_s"], line["env_steps_per_s"]) for line in lines] == [(0.5, 5.0)] * 5


def test_r6_a_checkpoint_that_the_disk_refuses_is_said_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    progress, checkpoints = Progress(100), Checkpoints(tmp_path)
    trainer = Trainer(Watched(progress), replace(INTERVALS, checkpoint_every=1), Logger([]), checkpoints, progress)

    def refuse(*_: Any) -> None:
        raise RuntimeError("no space left")

    for update in range(3):
        with monkeypatch.context() as full:
            if update == 1:
                full.setattr("torch.save", refuse)
            trainer.keep(trainer.update(NoBatches()), NoBatches())
    assert checkpoints.steps() == [1, 3]
    (said,) = (record.message for record in caplog.records if record.levelno == logging.WARNING)
    assert "no space left" in said
    monkeypatch.setattr("torch.save", refuse)
    with pytest.raises(CheckpointError):  # the last one of a run would be missed
        trainer.save(NoBatches())
