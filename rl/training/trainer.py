"""Trainer: one update after the other, and what is kept of them: counters, metrics and checkpoints."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from rl.common.typing import Batch, Metrics
from rl.errors import CheckpointError, TrainingDiverged
from rl.link.messages import Report
from rl.utils.checkpoint import Checkpoints, find_non_finite
from rl.utils.logger import Logger
from rl.utils.progress import RateMeter
from rl.utils.rng_state import rng_state

logger = logging.getLogger(__name__)

_RECENT = 1000  # updates among which the first metric that is not finite is looked for


class Agent(Protocol):
    """The part of an agent that the loop needs."""

    def update_high_utd(self, batch: Batch, utd_ratio: int) -> Metrics:
        """Several critic updates and one of everything else."""
        ...

    def policy_state_dict(self) -> dict[str, np.ndarray]:
        """Return what actors need to act."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return what a resume needs."""
        ...


class Batches(Iterator[Batch], Protocol):
    """An endless stream of batches on the learner's device whose position can be saved."""

    def state_dict(self) -> Any:
        """Return the state of the stream."""
        ...


@dataclass(frozen=True)
class LoopIntervals:
    """Intervals of the loop's side work, in updates."""

    utd_ratio: int
    publish_every: int
    log_every: int
    checkpoint_every: int
    silence_s: float

    def is_checkpoint(self, updates: int) -> bool:
        """True when a checkpoint is due after so many updates."""
        return bool(self.checkpoint_every) and updates % self.checkpoint_every == 0


@dataclass
class Progress:
    """The state of the learner; shown to whoever asks for the status."""

    steps: int
    updates: int = 0
    env_steps: int = 0
    buffer: int = 0
    episodes: int = 0
    episode_return: float | None = None
    evaluation: dict[str, float] = field(default_factory=dict)
    waiting_for: str | None = "the first actor"
    busy_with: str | None = None
    """Work that the learner does once, and for long."""
    findings: list[str] = field(default_factory=list)
    """Sentences of what the training doctor finds now, the worst first."""


class Trainer:
    """Updates an agent, whoever decides when.

    Args:
        agent: the trained agent.
        intervals: when to log and save.
        metrics: log of the metrics.
        checkpoints: store of the run's state; None where nothing is saved on the way.
        progress: counters, those of the checkpoint after a resume.
        first_update: what takes long about the first update of this process, in words; None for nothing.
    """

    def __init__(
        self,
        agent: Agent,
        intervals: LoopIntervals,
        metrics: Logger,
        checkpoints: Checkpoints | None,
        progress: Progress,
        first_update: str | None = None,
    ) -> None:
        self.agent = agent
        self.progress = progress
        self.gauges: list[Callable[[], Mapping[str, float]]] = []
        """Further figures for the log, read when a line of it is written."""
        self._intervals, self._metrics, self._checkpoints = intervals, metrics, checkpoints
        self._meter = RateMeter()
        self._recent: deque[tuple[int, Metrics]] = deque(maxlen=_RECENT)
        self._first_update = first_update
        self._has_updated = False

    def update(self, batches: Batches) -> Metrics:
        """Do one update on the next batch."""
        batch = next(batches)
        with nullcontext() if self._has_updated else self._in_first_update():
            metrics = self.agent.update_high_utd(batch, self._intervals.utd_ratio)
        self.progress.updates += 1
        self._recent.append((self.progress.updates, metrics))
        return metrics

    def require_sound(self, state: Any) -> None:
        """Raise `TrainingDiverged` when parts of an agent hold NaN or infinity, with the loss that did so first."""
        name = find_non_finite(state)
        if name is None:
            return
        self._log_non_finite()
        kept = [] if self._checkpoints is None else self._checkpoints.steps()
        sound = f"The newest checkpoint is that after {kept[-1]} updates" if kept else "There is no checkpoint yet"
        raise TrainingDiverged(
            f"the training diverged: {self._first_non_finite()}, and {name} of the networks is not finite any more. "
            f"Neither is published nor saved. {sound}: go on from it with smaller learning rates, a clipped gradient "
            "(clip_grad_norm), or rewards of a smaller size"
        )

    def _log_non_finite(self) -> None:
        """Log the first update whose metrics are not finite: no other line of the log would show it."""
        bad = next((metrics for _, metrics in self._recent if find_non_finite(metrics)), None)
        if bad is not None:
            self._metrics.log(self.progress.env_steps, {**bad, "updates": self.progress.updates})

    def _first_non_finite(self) -> str:
        for updates, metrics in self._recent:
            for name, value in metrics.items():
                if not math.isfinite(float(value)):
                    return f"after {updates} updates {name} was {float(value)}"
        return f"no metric of the last {len(self._recent)} updates shows where"

    def keep(self, metrics: Metrics, batches: Batches) -> None:
        """Log the metrics of the last update, and save, where it is time to; a full disk ends nothing here."""
        if self.progress.updates % self._intervals.log_every == 0:
            self._log(metrics)
        if self._intervals.is_checkpoint(self.progress.updates):
            try:
                self.save(batches)
            except CheckpointError as error:
                logger.warning("%s. The training goes on, and the next checkpoint is tried in its time", error)

    def save(self, batches: Batches) -> None:
        """Write a checkpoint.

        Raises:
            TrainingDiverged: the agent's state is not finite; nothing was written.
            CheckpointError: the disk refuses.
        """
        if self._checkpoints is None:
            return
        progress = self.progress
        state = self.state_dict(batches.state_dict())
        self.require_sound(state["agent"])
        path = self._checkpoints.save(progress.updates, state)
        logger.info("checkpoint %s after %d updates and %d steps", path.name, progress.updates, progress.env_steps)

    def state_dict(self, draws: Any) -> dict[str, Any]:
        """Return what a checkpoint holds; `draws` is the state of the batches."""
        return {
            "agent": self.agent.state_dict(),
            "updates": self.progress.updates,
            "env_steps": self.progress.env_steps,
            "episodes": self.progress.episodes,
            "batches": draws,
            "rng": rng_state(),
        }

    def note(self, actor: str, report: Report) -> None:
        """Take over what an actor reports."""
        progress = self.progress
        step = int(report.values.get("env_steps", progress.env_steps))
        self._metrics.log(step, {report.topic: dict(report.values)})
        if report.topic == "evaluation":
            progress.evaluation = dict(report.values)
            logger.info("%s after %d steps: %s", actor, step, _in_words(report.values))
        else:
            progress.episodes += 1
            progress.episode_return = report.values["return"]

    @contextmanager
    def _in_first_update(self) -> Iterator[None]:
        """Say what takes long, and how long it took."""
        start_s = time.monotonic()
        self._meter.add(start_s, self.progress.updates, self.progress.env_steps)
        if self._first_update is not None:
            logger.info("%s", self._first_update)
            self.progress.busy_with = self._first_update
        try:
            yield
        finally:
            self.progress.busy_with = None
        self._has_updated = True
        if self._first_update is not None:
            logger.info("the first update took %.0f s", time.monotonic() - start_s)

    def _log(self, metrics: Mapping[str, Any]) -> None:
        progress = self.progress
        self._meter.add(time.monotonic(), progress.updates, progress.env_steps)
        updates_per_s, env_steps_per_s = self._meter.rates_per_s()
        counters = {
            "updates": progress.updates,
            "updates_per_s": updates_per_s,
            "env_steps_per_s": env_steps_per_s,
        }
        gauged = {name: value for gauge in self.gauges for name, value in gauge().items()}
        self._metrics.log(progress.env_steps, {**metrics, **counters, **gauged})


def _in_words(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())
