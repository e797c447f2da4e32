"""The training doctor beside a training: what it needs is logged, and what it finds is told, shown and logged."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from rl.config import TrainConfig
from rl.data.journal import Block
from rl.errors import TrainingDiverged
from rl.link import client
from rl.link.client import LearnerLink
from rl.link.state import ClientSettings
from rl.training.doctor import live
from rl.training.doctor.evidence import TRANSITIONS, Evidence, Transitions
from rl.training.doctor.live import LiveDoctor
from rl.training.doctor.read_run import read_run
from rl.training.doctor.table import examine
from rl.training.learned import SuccessGoal
from rl.training.learner import LearnerLoop
from rl.training.live_view import make_view
from rl.training.trainer import Progress, Trainer
from rl.training.update_schedule import Schedule
from rl.utils.logger import Logger
from tests.rl.link.conftest import handshake
from tests.rl.training.small_agents import one_thread, small_sac
from tests.rl.training.test_learner_loop import LateHub
from tests.rl.training.test_live_view import LEARNING, status
from tests.rl.training.test_trainer import INTERVALS, NoBatches, Watched
from tests.support.point_env import Faults, PointReach

__all__ = ["one_thread"]

SEEDS = range(10)


def block(first: int, count: int, reward: Callable[[np.ndarray], np.ndarray]) -> Block:
    rows = np.arange(first, first + count)
    seen = np.random.default_rng(first).normal(size=(count, 3)).astype(np.float32)
    batch = {
        "observations": seen,
        "actions": np.random.default_rng(first + 1).uniform(-0.9, 0.9, (count, 2)).astype(np.float32),
        "next_observations": seen,
        "rewards": reward(rows).astype(np.float32),
        "masks": np.ones(count, np.float32),
        "dones": ((rows + 1) % 20 == 0).astype(np.float32),
    }
    return Block(first + count, "actor-0/a", first, batch, None)


def test_numbers_of_wide_observations_are_kept_as_small_as_they_come():
    seen = block(0, 20, np.ones_like)
    seen.transitions["observations"] = np.ones((20, 500), np.float32)
    assert Transitions.of([seen]).vectors.dtype == np.float32


def test_a_finding_is_told_when_it_begins_and_when_it_is_over(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    progress = Progress(10_000)
    doctor = LiveDoctor(TrainConfig(), progress)
    for first in range(0, 1200, 300):
        doctor.note(block(first, 300, np.zeros_like))
    doctor.write(1200, {"updates": 1.0})
    assert doctor.figures() == {"doctor/reward_dead": 1.0}
    assert [finding.split(":")[0] for finding in progress.findings] == ["reward_dead"]
    doctor.write(1300, {"updates": 2.0})
    doctor.note(block(1200, 600, lambda rows: rows % 2))
    doctor.write(1800, {"updates": 3.0})
    assert doctor.figures() == {}
    assert progress.findings == []
    told = [record.message for record in caplog.records if "doctor" in record.message]
    assert [message.split(":")[0] for message in told] == [
        "the training doctor found reward_dead",
        "the training doctor finds reward_dead no more",
    ]


@pytest.mark.parametrize("part", ["read_demos", "examine", "Transitions"])
def test_a_doctor_that_fails_ends_no_training_and_says_so_once(
    part: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(live, part, None)
    doctor = LiveDoctor(TrainConfig(), Progress(10_000))
    for first in range(0, 3000, 300):
        doctor.note(block(first, 300, np.zeros_like))
        doctor.write(first, {"updates": 1.0})
    assert doctor.figures() == {}
    (told,) = [record.message for record in caplog.records]
    assert told == "the training doctor failed and looks at this run no more; the training goes on"


def test_only_the_newest_transitions_are_kept():
    doctor = LiveDoctor(TrainConfig(), Progress(10_000))
    for first in range(0, 20_000, 100):
        doctor.note(block(first, 100, np.zeros_like))
    assert sum(map(len, doctor._parts)) == TRANSITIONS
    assert doctor._parts[0].rows[0] == 20_000 - TRANSITIONS


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_view_shows_what_is_found(is_terminal: bool):
    out = io.StringIO()
    with make_view(Console(file=out, force_terminal=is_terminal, width=160), "title") as view:
        view.show(status(replace(LEARNING, findings=["reward_dead: the reward has paid in no step. Look at it"])))
    assert "reward_dead" in out.getvalue()


def test_what_is_found_in_a_run_is_in_its_metrics_and_found_again_in_its_directory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    agent = small_sac(PointReach(Faults(constant_reward=0.0)), out=tmp_path, log_every=10)
    with agent:
        agent.train(1500)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    begin = next(line["step"] for line in lines if "doctor/reward_dead" in line)
    assert 1000 <= begin < 1500
    assert "reward_dead" in [finding.name for finding in examine(read_run(tmp_path)).findings]
    assert "the training doctor found reward_dead" in caplog.text


def test_the_weights_do_not_depend_on_the_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    weights = []
    for number in range(2):
        with small_sac(out=tmp_path / str(number), log_every=5) as agent:
            agent.train(600)
            weights.append(agent._session.agent.policy_state_dict())
        monkeypatch.setattr(LiveDoctor, "write", lambda self, step, metrics: None)
    assert all(np.array_equal(weights[0][name], value) for name, value in weights[1].items())


def test_the_update_that_went_wrong_first_is_logged(tmp_path: Path):
    agent = small_sac(PointReach(Faults(huge_reward_after=60)), out=tmp_path, log_every=1000)
    with agent, pytest.raises(TrainingDiverged):
        agent.train(400)
    last = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["critic/critic_loss"] is None
    assert examine(read_run(tmp_path)).findings[0].name == "not_finite"


class TimedHub(LateHub):
    """A hub on a clock of its own: each wait for data and each update takes time."""

    def __init__(self, wait_s: float, lag: int, rng: np.random.Generator) -> None:
        super().__init__(-1)
        self.now_s, self._wait_s, self._lag, self._rng = 0.0, wait_s, lag, rng

    def lag(self) -> int:
        return round(self._lag * self._rng.uniform(1.0, 1.2))

    def silence_s(self) -> float:
        return 0.0

    def wait_for_data(self, env_steps: int, timeout_s: float) -> bool:
        self.now_s += self._wait_s * self._rng.uniform(0.8, 1.2)
        return True


class Lines:
    """A sink that keeps what is logged."""

    def __init__(self) -> None:
        self.kept: list[dict[str, float]] = []

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        self.kept.append({"step": float(step), **metrics})

    def close(self) -> None: ...


def run_loop(directory: Path, seed: int, *, wait_s: float, update_s: float, lag: int) -> list[str]:
    """Return what the doctor finds in the metrics of a loop whose every update waits for one step."""
    progress, hub, lines = Progress(200), TimedHub(wait_s, lag, np.random.default_rng(seed)), Lines()
    trainer = Trainer(Watched(progress), INTERVALS, Logger([lines]), None, progress)
    arrived = iter(np.repeat(np.arange(201), 2).tolist())
    loader = SimpleNamespace(poll=lambda: next(arrived, 200), buffered=200)
    update = trainer.update

    def timed(batches: Any) -> Any:
        hub.now_s += update_s
        return update(batches)

    trainer.update = timed  # type: ignore[method-assign]
    rates = {"updates_per_s": 1.0 / (update_s + wait_s)}  # those of the trainer are of another clock
    trainer.gauges.append(lambda: rates)
    schedule, goal = Schedule(200, 0, 1.0, None), SuccessGoal(None, directory)
    loop = LearnerLoop(trainer, loader, hub, schedule, INTERVALS, goal, clock=lambda: hub.now_s)  # type: ignore[arg-type]
    loop.run(NoBatches(), threading.Event())
    diagnosis = examine(Evidence(TrainConfig(env_steps_per_update=1.0), lines.kept))
    assert not {"weights_stale", "learner_starved"} & diagnosis.not_applicable.keys()
    return [finding.name for finding in diagnosis.findings]


@pytest.mark.parametrize(
    ("wait_s", "update_s", "lag", "found"),
    [
        (0.01, 0.1, 3, []),
        (0.1, 0.1, 3, []),
        (0.1, 0.001, 3, ["learner_starved"]),
        (0.01, 0.1, 600, ["weights_stale"]),
    ],
)
def test_a_pace_that_is_wrong_is_named_in_every_seed(
    tmp_path: Path, wait_s: float, update_s: float, lag: int, found: list[str]
):
    named = [run_loop(tmp_path / str(n), n, wait_s=wait_s, update_s=update_s, lag=lag) for n in SEEDS]
    assert named == [found] * len(SEEDS)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_an_actor_tells_how_much_of_its_time_it_waited(monkeypatch: pytest.MonkeyPatch, share: float):
    """An episode of eight seconds, at whose begin the learner lets the actor wait for a part of it."""
    now_s = [100.0]
    monkeypatch.setattr(client, "time", SimpleNamespace(monotonic=lambda: now_s[0], sleep=lambda s: None))
    settings = ClientSettings(url="ws://127.0.0.1:1", token=None, capacity=10, max_chunk=1)
    link = LearnerLink(settings, handshake())

    def wait(condition: object, timeout_s: float) -> bool:
        now_s[0] += 8.0 * share
        return True

    monkeypatch.setattr(link, "_wait", wait)
    assert link.may_step(10.0)
    now_s[0] += 8.0 * (1.0 - share)
    link.report("episode", {"return": 1.0})
    link.report("evaluation", {"return_mean": 1.0})
    told, evaluation = (report.values for report in link._state.reports)
    assert told["waited_share"] == pytest.approx(share)
    assert "waited_share" not in evaluation


def test_an_actor_tells_how_many_of_its_steps_were_late(tmp_path: Path):
    """A tenth of a control period, which is that of 10 Hz where the environment does not say; 50 ms are late."""
    with small_sac(PointReach(Faults(late_share=0.5)), out=tmp_path) as agent:
        agent.train(200)
    late = [line["late_steps"] for line in read_run(tmp_path).episodes]
    assert len(late) == 10
    assert 60 <= sum(late) <= 140
    with small_sac(PointReach(), out=tmp_path / "b") as agent:
        agent.train(40)
    assert not any("late_steps" in line for line in read_run(tmp_path / "b").episodes)
