"""The learner's loop: transitions in, updates, weights out."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from rl.common.typing import Batch, Metrics
from rl.link.frames import Weights
from rl.link.hub import LearnerHub
from rl.link.messages import Report
from rl.training.replay_loader import ReplayLoader
from rl.training.update_schedule import Schedule
from rl.utils.checkpoint import Checkpoints
from rl.utils.logger import Logger
from rl.utils.rng_state import rng_state
from rl.utils.subprocesses import Stop

logger = logging.getLogger(__name__)

_POLL_TIMEOUT_S = 0.2  # the longest wait between two checks of the stop signal


class Agent(Protocol):
    """What the loop needs of an agent."""

    def update_high_utd(self, batch: Batch, utd_ratio: int) -> Metrics:
        """Several critic updates and one of everything else."""
        ...

    def policy_state_dict(self) -> dict[str, np.ndarray]:
        """What actors need to act."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What a resume needs."""
        ...


class Batches(Iterator[Batch], Protocol):
    """An endless stream of batches on the learner's device whose position can be saved."""

    def state_dict(self) -> Any:
        """Where the stream stands."""
        ...


@dataclass(frozen=True)
class LoopIntervals:
    """Intervals of the loop's side work, in updates."""

    utd_ratio: int
    publish_every: int
    log_every: int
    checkpoint_every: int
    silence_s: float


@dataclass
class Progress:
    """Where the learner is; shown to whoever asks for the status."""

    steps: int
    updates: int = 0
    env_steps: int = 0
    buffer: int = 0
    updates_per_s: float = 0.0
    env_steps_per_s: float = 0.0
    episodes: int = 0
    episode_return: float | None = None
    evaluation: dict[str, float] = field(default_factory=dict)
    waiting_for: str | None = "the first actor"


class LearnerLoop:
    """The loop of updates over objects that are built elsewhere.

    Args:
        agent: the trained agent.
        loader: fills the replay buffer.
        hub: the actors.
        schedule: decides when to update.
        intervals: when to publish, log and save.
        metrics: log of the metrics.
        checkpoints: store of the run's state.
        progress: counters, those of the checkpoint after a resume.
    """

    def __init__(
        self,
        agent: Agent,
        loader: ReplayLoader,
        hub: LearnerHub,
        schedule: Schedule,
        intervals: LoopIntervals,
        metrics: Logger,
        checkpoints: Checkpoints,
        progress: Progress,
    ) -> None:
        self._agent, self._loader, self._hub, self._schedule, self._intervals = agent, loader, hub, schedule, intervals
        self._metrics, self._checkpoints, self._progress = metrics, checkpoints, progress
        self._marks: list[tuple[float, int, int]] = []

    def gather(self, stop: Stop) -> None:
        """Let the actors act until there is enough to learn from."""
        self._publish()
        while self._loader.poll() < self._schedule.training_starts and not stop.is_set():
            self._wait(self._schedule.training_starts, "the first steps, before which nothing is learned")
            self._drain_reports()
        self._progress.env_steps = self._loader.env_steps

    def run(self, batches: Batches, stop: Stop) -> None:
        """Update until the schedule is done or somebody stops it; the state is saved in the end."""
        progress, intervals = self._progress, self._intervals
        while not stop.is_set() and not self._schedule.is_done(progress.env_steps, progress.updates):
            progress.env_steps, progress.buffer = self._loader.poll(), self._loader.buffered
            self._drain_reports()
            if not self._may_update():
                continue
            metrics = self._agent.update_high_utd(next(batches), intervals.utd_ratio)
            progress.updates += 1
            if progress.updates % intervals.publish_every == 0:
                self._publish()
            self._hub.grant(self._schedule.steps_allowed(progress.updates))
            if progress.updates % intervals.log_every == 0:
                self._log(metrics)
            if intervals.checkpoint_every and progress.updates % intervals.checkpoint_every == 0:
                self.save(batches)
        self._publish()
        self.save(batches)

    def finish(self, timeout_s: float) -> None:
        """End the training for all actors, and drain their reports until they disconnect."""
        self._hub.finish()
        deadline_s = time.monotonic() + timeout_s
        while not self._hub.wait_for_disconnects(_POLL_TIMEOUT_S) and time.monotonic() < deadline_s:
            self._drain_reports()
        self._drain_reports()

    def save(self, batches: Batches) -> None:
        """Write a checkpoint."""
        progress = self._progress
        state = {
            "agent": self._agent.state_dict(),
            "updates": progress.updates,
            "env_steps": progress.env_steps,
            "episodes": progress.episodes,
            "batches": batches.state_dict(),
            "rng": rng_state(),
        }
        path = self._checkpoints.save(progress.updates, state)
        logger.info("checkpoint %s after %d updates and %d steps", path.name, progress.updates, progress.env_steps)

    def _may_update(self) -> bool:
        """True when an update is due and actors are there; else wait a little and say why."""
        progress = self._progress
        if not self._schedule.may_update(progress.env_steps, progress.updates):
            self._wait(self._schedule.steps_wanted(progress.updates), None)
            return False
        if self._hub.silence_s() > self._intervals.silence_s and progress.env_steps < self._schedule.steps:
            self._wait(progress.env_steps + 1, None)
            return False
        self._say_waiting(None)
        return True

    def _wait(self, env_steps: int, reason: str | None) -> None:
        """Wait a little for data; when nobody is there to send any, say so."""
        silence_s = self._hub.silence_s()
        if silence_s == float("inf"):
            reason = "the first actor"
        elif silence_s > self._intervals.silence_s:
            reason = (
                f"an actor: none has sent a message for {self._intervals.silence_s:g} s, and updates pause meanwhile"
            )
        self._say_waiting(reason)
        self._hub.wait_for_data(env_steps, _POLL_TIMEOUT_S)

    def _say_waiting(self, reason: str | None) -> None:
        if reason != self._progress.waiting_for:
            logger.warning("waiting for %s", reason) if reason else logger.info("learning")
        self._progress.waiting_for = reason

    def _publish(self) -> None:
        self._hub.publish(Weights(self._progress.updates, self._agent.policy_state_dict()))
        self._hub.grant(self._schedule.steps_allowed(self._progress.updates))

    def _log(self, metrics: Mapping[str, Any]) -> None:
        progress = self._progress
        self._marks = [*self._marks[-9:], (time.monotonic(), progress.updates, progress.env_steps)]
        (then_s, updates, steps), now_s = self._marks[0], self._marks[-1][0]
        if now_s > then_s:
            progress.updates_per_s = (progress.updates - updates) / (now_s - then_s)
            progress.env_steps_per_s = (progress.env_steps - steps) / (now_s - then_s)
        counters = {
            "updates": progress.updates,
            "updates_per_s": progress.updates_per_s,
            "env_steps_per_s": progress.env_steps_per_s,
        }
        self._metrics.log(progress.env_steps, {**metrics, **counters})

    def _drain_reports(self) -> None:
        for actor, report in self._hub.take_reports():
            self._note(actor, report)

    def _note(self, actor: str, report: Report) -> None:
        progress = self._progress
        step = int(report.values.get("env_steps", progress.env_steps))
        self._metrics.log(step, {report.topic: dict(report.values)})
        if report.topic == "evaluation":
            progress.evaluation = dict(report.values)
            logger.info("%s after %d steps: %s", actor, step, _in_words(report.values))
        else:
            progress.episodes += 1
            progress.episode_return = report.values["return"]


def _in_words(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())
