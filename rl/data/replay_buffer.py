"""ReplayBuffer: the newest `capacity` transitions in memory, sampled uniformly."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from rl.data.rows import RowStore
from rl.data.schema import Field, TransitionSchema
from rl.data.uniform_sampler import UniformSampler
from rl.errors import ConfigError
from rl.utils.tree import Batch, FlatBatch, len_of, map_leaves, nest


class ReplayBuffer:
    """A ring of transitions.

    One thread may insert while another samples. The data is not part of `state_dict`: on resume it comes back from the
    journal in its old order, and with the generator's state the next samples are the same as without the interruption.

    Args:
        observation_space: Box or (nested) Dict; floating point observations are kept as float32, images as uint8.
        action_space: usually a Box.
        capacity: number of transitions kept.
        seed: seed of the buffer's own generator.
        extras: fields beyond the six of every transition, for example `{"is_intervention": SCALAR}`.
    """

    def __init__(
        self,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        capacity: int,
        *,
        seed: int,
        extras: Mapping[str, Field] | None = None,
    ) -> None:
        if capacity < 1:
            raise ConfigError(f"a replay buffer needs a capacity of at least 1, not {capacity}")
        self.schema = TransitionSchema.from_spaces(observation_space, action_space, extras)
        self.capacity = capacity
        self._rows = RowStore(self.schema.fields, capacity)
        self._sampler = UniformSampler(seed)
        self._inserted = 0
        self._first = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return min(self._inserted - self._first, self.capacity)

    @property
    def inserted(self) -> int:
        """The number of transitions that were ever inserted; the next one goes to row `inserted % capacity`."""
        return self._inserted

    @property
    def history(self) -> int:
        """The newest transitions from which a new buffer comes to hold what this one holds."""
        return self.capacity

    def insert(self, transition: Mapping[str, Any]) -> None:
        """Store one transition (fields without batch axis).

        Raises:
            SchemaMismatch: a field is missing, unknown, of another shape or kind, or not finite; nothing is stored.
        """
        with self._lock:
            if self._rows.write_one(self._inserted % self.capacity, transition):
                self._inserted += 1
                return
        self.extend(map_leaves(lambda value: np.asarray(value)[None], transition))

    def extend(self, batch: Mapping[str, Any]) -> None:
        """Store a batch of transitions in order (each field has a leading axis of one length).

        Raises:
            SchemaMismatch: as for `insert`; nothing of the batch is stored.
        """
        flat = self.schema.flatten(batch)
        with self._lock:
            self._write(flat, len_of(flat))

    def skip(self, count: int) -> None:
        """Count `count` transitions as inserted and overwritten; this buffer must be new.

        Then the next ones lie where they would lie after those, and samples are the same.
        """
        with self._lock:
            self._first = self._inserted = count

    def sample(self, batch_size: int, *, indices: np.ndarray | None = None) -> Batch:
        """Draw transitions uniformly, with replacement; or take those at `indices` (no draw).

        Returns:
            A nested dict of arrays with a leading axis of `batch_size`. The arrays are the caller's own, but float32
            fields are strided views into one block.

        Raises:
            EmptyBuffer: nothing was inserted yet.
            DataError: `indices` do not fit.
        """
        with self._lock:
            chosen = self._sampler.choose(len(self), batch_size, indices)
            if self._first and len(self) < self.capacity:
                chosen = (chosen + self._first) % self.capacity
            return nest(self._rows.read(chosen))

    def state_dict(self) -> dict[str, Any]:
        """The state that an exact resume needs besides the data: counters and the generator's state."""
        with self._lock:
            return self._sampler.state_dict(self._inserted)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the generator, after the data has been inserted again.

        Raises:
            CheckpointError: fewer transitions are here than when the state was taken.
        """
        self._sampler.load_state_dict(state, self._inserted)

    def _write(self, flat: FlatBatch, length: int) -> None:
        source = max(0, length - self.capacity)  # of an oversized batch only the tail would survive
        while source < length:
            row = (self._inserted + source) % self.capacity
            count = min(length - source, self.capacity - row)
            self._rows.write(slice(row, row + count), flat, slice(source, source + count))
            source += count
        self._inserted += length
