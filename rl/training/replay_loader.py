"""ReplayLoader: moves new transitions of the journal into the replay buffer, live and after a restart alike."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

import numpy as np

from rl.data.buffer import Buffer, RingBuffer
from rl.data.journal import Block, TransitionJournal
from rl.data.n_step import NStep
from rl.data.schema import FIELDS, IS_INTERVENTION
from rl.training.retention import Forget, Retention, Stream
from rl.utils.tree import Batch, map_leaves


class ReplayLoader:
    """Reads new transitions of a journal, makes n-step transitions of them, and inserts those.

    Args:
        journal: opened for reading.
        replay: the buffer for all transitions.
        n_step: rewards summed before bootstrapping.
        discount: per step.
        interventions: a second buffer for the transitions in which a human acted; None for no such buffer.
        extras: names of further numbers that the buffers store.
        reward_bias: what the agent adds to every reward, see `NStep`.
        forget: deletes transitions that the replay buffer has overwritten; None keeps all.
        listener: told of every block.
    """

    def __init__(
        self,
        journal: TransitionJournal,
        replay: RingBuffer,
        n_step: int,
        discount: float,
        interventions: Buffer | None = None,
        extras: Collection[str] = (),
        reward_bias: float = 0.0,
        forget: Forget | None = None,
        listener: Callable[[Block], None] = lambda block: None,
    ) -> None:
        self._journal = journal
        self._listener = listener
        self._replay = replay
        self._interventions = interventions
        self._kept = FIELDS | set(extras)
        self._make_stream = partial(NStep, n_step, discount, reward_bias)
        self._streams: dict[str, Stream] = {}  # by the actor's name: its newest attempt
        self._retention = Retention(forget, lambda: len(journal), replay.history)
        self._begin = journal.begin
        """The first row that the replay buffer is to hold."""
        self.env_steps = 0
        """Transitions read from the journal."""
        self.interventions = 0
        """Transitions in which a human acted."""

    @property
    def buffered(self) -> int:
        """Transitions in the replay buffer."""
        return len(self._replay)

    def poll(self) -> int:
        """Insert all new transitions.

        Returns:
            The number of transitions read since the journal's beginning.
        """
        for block in self._journal.blocks(after_row=self.env_steps):
            self.add(block)
        return self.env_steps

    def add(self, block: Block) -> None:
        """Insert the next block, which is in the journal or comes to it later."""
        if 0 < self._begin <= block.first_row:
            self._replay.skip(self._begin - sum(stream.n_step.waiting for stream in self._streams.values()))
            self._begin = 0
        stream = self._stream_of(block)
        self._insert(stream.n_step.push(block.transitions))
        self._retention.note(block, stream)
        self.env_steps = block.last_row
        self._listener(block)
        if not self._begin:
            self._retention.mark(self.env_steps, self._replay.inserted, self._streams.values())

    def _stream_of(self, block: Block) -> Stream:
        """The stream that this block continues; where a trajectory was torn, its last steps end as at a truncation."""
        stream = self._streams.setdefault(block.actor_id.split("/")[0], Stream(block.actor_id, self._make_stream()))
        if not stream.continues(block):
            self._insert(stream.n_step.flush())
            stream.turn_to(block)
        return stream

    def _insert(self, batch: Batch) -> None:
        if not batch or not len(batch["rewards"]):
            return
        kept = {name: value for name, value in batch.items() if name in self._kept}
        if not self._begin:
            self._replay.extend(kept)
        by_human = np.flatnonzero(batch.get(IS_INTERVENTION, np.zeros(0)))
        self.interventions += len(by_human)
        if self._interventions is not None and len(by_human):
            self._interventions.extend(map_leaves(lambda array: array[by_human], kept))
