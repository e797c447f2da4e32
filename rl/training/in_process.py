"""Training in one process: what the actor's loop takes for its link to the learner is the learner itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch

from rl.data.journal import Block, TransitionJournal, gap_info
from rl.data.prefetch import to_tensors
from rl.link.frames import Weights
from rl.link.messages import Report
from rl.training.callbacks import Callbacks, EpisodeEnd, Evaluation, Step, Update
from rl.training.goals import Batches
from rl.training.replay_loader import ReplayLoader
from rl.training.trainer import LoopIntervals, Trainer
from rl.training.update_schedule import Schedule
from rl.utils.checkpoint import find_non_finite
from rl.utils.subprocesses import Stop
from rl.utils.tree import Batch, leaves, nest, stack

ACTOR = "actor-0"
"""Name of the only actor: that of the first one of a run in several processes."""

_CHUNK = 64  # transitions that are written to the journal at once: a file waits for the disk each time


class TensorBatches:
    """Batches as tensors, drawn when they are asked for: unlike `Prefetch`, the draws depend on no timing.

    Args:
        batches: of arrays.
        device: where the tensors go.
    """

    def __init__(self, batches: Batches, device: torch.device) -> None:
        self._batches, self._device = batches, device

    def __iter__(self) -> TensorBatches:
        return self

    def __next__(self) -> Batch:
        return to_tensors(next(self._batches), self._device)

    def state_dict(self) -> Any:
        """Return the state of the stream."""
        return self._batches.state_dict()


class ChunkWriter:
    """Appends one actor's transitions to a journal, several at once.

    Args:
        journal: opened for writing.
        actor_id: new for each writer.
    """

    def __init__(self, journal: TransitionJournal, actor_id: str) -> None:
        self._journal, self._actor_id = journal, actor_id
        self._waiting: list[Batch] = []
        self._follows_gap = False
        self._written = 0

    def add(self, transition: Batch, *, follows_gap: bool) -> None:
        """Take the next transition, a batch of one; it is on its way until `flush`."""
        if follows_gap or len(self._waiting) >= _CHUNK:
            self.flush()
        if not self._waiting:
            self._follows_gap = follows_gap
        self._waiting.append(transition)

    def flush(self) -> None:
        """Write what waits.

        Raises:
            JournalError: the file cannot be written.
        """
        if self._waiting:
            flats = [dict(leaves(transition)) for transition in self._waiting]
            chunk = nest({path: np.concatenate([flat[path] for flat in flats]) for path in flats[0]})
            self._journal.append(self._actor_id, self._written, chunk, gap_info(self._follows_gap))
            self._written += len(self._waiting)
            self._waiting = []


class InProcessLink:
    """Takes each transition at once, and before the next step does the updates that all so far pay for.

    Args:
        trainer: updates the agent.
        loader: fills the buffers, which hold the transitions of before.
        journal: keeps every transition.
        schedule: decides when to update, and when the training is over.
        intervals: when the trainer saves.
        batches: what is learned from.
        prepare: called before each update.
        callbacks: told what happens.
        stop: ends the training, between two steps or updates.
    """

    def __init__(
        self,
        trainer: Trainer,
        loader: ReplayLoader,
        journal: TransitionJournal,
        schedule: Schedule,
        intervals: LoopIntervals,
        batches: TensorBatches,
        prepare: Callable[[], None],
        callbacks: Callbacks,
        stop: Stop,
    ) -> None:
        self._trainer, self._loader, self._schedule, self._intervals = trainer, loader, schedule, intervals
        self._batches, self._prepare, self._callbacks, self._stop = batches, prepare, callbacks, stop
        self._first_row = loader.env_steps
        self._actor_id = f"{ACTOR}/from-step-{self._first_row}"
        self._chunks = ChunkWriter(journal, self._actor_id)
        self._follows_gap = False

    @property
    def env_steps(self) -> int:
        """Transitions of the run."""
        return self._loader.env_steps

    @property
    def is_finished(self) -> bool:
        """True when all steps are taken and used."""
        return self._schedule.is_done(self._loader.env_steps, self._trainer.progress.updates)

    def may_step(self, timeout_s: float) -> bool:
        """Do the updates that are due; True when the training then goes on."""
        progress = self._trainer.progress
        while not self._stop.is_set() and self._schedule.may_update(progress.env_steps, progress.updates):
            self._prepare()
            metrics = self._trainer.update(self._batches)
            if self._intervals.is_checkpoint(progress.updates):
                self._chunks.flush()
            if find_non_finite(metrics):  # a step that float16 skipped has such metrics too, and sound networks
                self._trainer.require_sound(self._trainer.agent.state_dict())
            self._trainer.keep(metrics, self._batches)
            self._callbacks.tell(Update(progress.env_steps, progress.updates, metrics))
        return not self._stop.is_set() and progress.env_steps < self._schedule.steps

    def take_weights(self) -> Weights | None:
        """Return None: the policy that acts is the one that is trained."""
        return None

    def wait_for_weights(self, timeout_s: float) -> Weights:
        """Return the weights of the policy."""
        return Weights(self._trainer.progress.updates, self._trainer.agent.policy_state_dict())

    def send(self, transition: Mapping[str, Any]) -> None:
        """Store one transition; the environment may reuse its arrays afterwards.

        Raises:
            SchemaMismatch: a field is of another shape than its space says, or not finite; nothing is stored.
        """
        batch, row = stack([transition]), self._loader.env_steps + 1
        follows_gap, self._follows_gap = self._follows_gap, False
        self._loader.add(Block(row, self._actor_id, row - 1 - self._first_row, batch, gap_info(follows_gap)))
        self._chunks.add(batch, follows_gap=follows_gap)
        self._trainer.progress.env_steps, self._trainer.progress.buffer = row, self._loader.buffered
        self._callbacks.tell(Step(row, transition))

    def tear(self) -> None:
        """The next transition does not continue the last one."""
        self._follows_gap = True

    def report(self, topic: Literal["episode", "evaluation"], values: Mapping[str, float]) -> None:
        """Log the figures of an episode or an evaluation."""
        progress = self._trainer.progress
        self._trainer.note(ACTOR, Report(topic=topic, weights_version=progress.updates, values=dict(values)))
        if topic == "evaluation":
            self._callbacks.tell(Evaluation(progress.env_steps, dict(values)))
        else:
            self._callbacks.tell(EpisodeEnd(progress.env_steps, progress.episodes, dict(values)))

    def set_waiting_for(self, reason: str | None) -> None:
        """Show what the actor waits for in its log."""
        self._trainer.progress.waiting_for = reason

    def flush(self) -> None:
        """Write to the journal what is not in it yet."""
        self._chunks.flush()
