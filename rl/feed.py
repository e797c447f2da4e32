"""Feed: from the journal into the replay buffer, live and after a restart by the same way."""

from __future__ import annotations

from rl.data.journal import Block, TransitionJournal
from rl.data.n_step import NStep
from rl.data.schema import Batch
from rl.data.sink import TransitionSink


class Feed:
    """Reads what is new in a journal, makes n-step transitions of it, and inserts them.

    Args:
        journal: opened for reading.
        replay: where the transitions go.
        n_step: rewards summed before bootstrapping.
        discount: per step.
    """

    def __init__(self, journal: TransitionJournal, replay: TransitionSink, n_step: int, discount: float) -> None:
        self._journal = journal
        self._replay = replay
        self._n_step = n_step
        self._discount = discount
        self._streams: dict[str, tuple[str, NStep]] = {}  # by the actor's name: its newest attempt
        self.env_steps = 0
        """Transitions of the journal that were read."""

    @property
    def buffered(self) -> int:
        """Transitions in the replay buffer."""
        return len(self._replay)

    def pull(self) -> int:
        """Take over everything that is new.

        Returns:
            The number of transitions read since the journal's beginning.
        """
        for block in self._journal.blocks(after_row=self.env_steps):
            self._insert(self._stream_of(block).push(block.transitions))
            self.env_steps = block.last_row
        return self.env_steps

    def _stream_of(self, block: Block) -> NStep:
        """The stream that this block continues; where a trajectory was torn, its last steps end as at a truncation."""
        actor = block.actor_id.split("/")[0]
        actor_id, stream = self._streams.get(actor, ("", NStep(self._n_step, self._discount)))
        if actor_id != block.actor_id or (block.info or {}).get("follows_gap"):
            self._insert(stream.flush())
        self._streams[actor] = (block.actor_id, stream)
        return stream

    def _insert(self, batch: Batch) -> None:
        if batch and len(batch["rewards"]):
            self._replay.extend(batch)
