"""UniformSampler: chooses the rows of a sample, with a state that survives a restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rl.errors import CheckpointError, DataError, EmptyBuffer


class UniformSampler:
    """Samples row positions uniformly and with replacement.

    Args:
        seed: of its own generator.
    """

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)

    def choose(self, length: int, batch_size: int, indices: np.ndarray | None = None) -> np.ndarray:
        """Draw `batch_size` positions in 0..length-1, or check those given.

        Raises:
            EmptyBuffer: the length is 0.
            DataError: `indices` are not `batch_size` integers in the range.
        """
        if not length:
            raise EmptyBuffer("nothing is stored yet: insert transitions before sampling")
        if indices is None:
            return self._generator.integers(length, size=batch_size)
        chosen = np.asarray(indices)
        if chosen.shape != (batch_size,) or chosen.dtype.kind not in "iu":
            raise DataError(f"indices must be {batch_size} integers, not {chosen.dtype}{chosen.shape}")
        if batch_size and not (chosen.min() >= 0 and chosen.max() < length):
            raise DataError(f"indices must lie in 0..{length - 1}; they span {chosen.min()}..{chosen.max()}")
        return chosen

    def integers(self, count: int, shape: tuple[int, ...]) -> np.ndarray:
        """Uniform integers of this shape in 0..count-1."""
        return self._generator.integers(count, size=shape)

    def permutation(self, length: int) -> np.ndarray:
        """The positions 0..length-1 in random order."""
        return self._generator.permutation(length)

    def state_dict(self, inserted: int) -> dict[str, Any]:
        """The generator's state, with the number of transitions that were inserted by then."""
        return {"inserted": inserted, "generator": self._generator.bit_generator.state}

    def load_state_dict(self, state: Mapping[str, Any], inserted: int) -> None:
        """Restore the generator, once the data is back.

        Raises:
            CheckpointError: fewer transitions are back than when the state was taken.
        """
        if inserted < state["inserted"]:
            raise CheckpointError(
                f"{inserted} transitions are back, but the checkpoint was written after {state['inserted']}: "
                "insert the whole journal of that run first"
            )
        self._generator.bit_generator.state = state["generator"]
