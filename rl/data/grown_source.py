"""GrownSource: data that is kept for ever and newer data beside it, sampled as if both were one buffer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from rl.data.uniform_sampler import UniformSampler
from rl.utils.tree import Batch, leaves, nest


class Sampled(Protocol):
    """The part of a replay buffer that is needed here."""

    @property
    def inserted(self) -> int:
        """The number of transitions that were ever inserted."""
        ...

    def __len__(self) -> int:
        """Number of transitions that can be sampled."""
        ...

    def sample(self, batch_size: int, *, indices: np.ndarray | None = None) -> Batch:
        """Draw transitions, or take those at `indices`."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """The state of the draws."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of the draws."""
        ...


class GrownSource:
    """Draws uniformly from all transitions of two buffers with equal fields.

    Args:
        kept: holds everything that it will ever hold, such as demonstrations, and drops nothing.
        grown: grows meanwhile, such as by interventions, and drops its own oldest.
        seed: of the draws.
    """

    def __init__(self, kept: Sampled, grown: Sampled, seed: int) -> None:
        self._kept, self._grown = kept, grown
        self._sampler = UniformSampler(seed)

    def sample(self, batch_size: int) -> Batch:
        """Draw `batch_size` transitions.

        Raises:
            EmptyBuffer: nothing is stored.
        """
        size = len(self._kept)
        rows = self._sampler.choose(size + len(self._grown), batch_size)
        is_kept = rows < size
        count = int(np.count_nonzero(is_kept))
        old = dict(leaves(self._kept.sample(count, indices=rows[is_kept]))) if count else {}
        new = dict(leaves(self._grown.sample(batch_size - count))) if count < batch_size else {}
        if not old or not new:
            return nest(old or new)
        merged = {path: np.empty((batch_size, *array.shape[1:]), array.dtype) for path, array in old.items()}
        for path, array in merged.items():
            array[is_kept], array[~is_kept] = old[path], new[path]
        return nest(merged)

    def state_dict(self) -> dict[str, Any]:
        """The state of all draws."""
        inserted = self._kept.inserted + self._grown.inserted
        return {
            **self._sampler.state_dict(inserted),
            "grown": self._grown.state_dict(),
            "kept": self._kept.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the draws; the buffers must hold their data again.

        Raises:
            CheckpointError: they hold less than then.
        """
        self._sampler.load_state_dict(state, self._kept.inserted + self._grown.inserted)
        if "grown" in state:  # checkpoints of before 0.2 drew from one buffer
            self._grown.load_state_dict(state["grown"])
        if "kept" in state:  # since a buffer draws more than the rows that it is asked for
            self._kept.load_state_dict(state["kept"])
