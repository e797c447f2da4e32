"""MixedBatches: one batch from several buffers, evenly interleaved (symmetric sampling of RLPD)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from rl.errors import CheckpointError, ConfigError, SchemaMismatch
from rl.utils.tree import Batch, leaves, nest


class Source(Protocol):
    """The protocol of data that can be sampled: a replay buffer, a demonstration buffer, a dataset."""

    def sample(self, batch_size: int) -> Batch:
        """Draw `batch_size` transitions."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """The state of the draws."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of the draws."""
        ...


class MixedBatches:
    """An endless iterator of batches with fixed shares of each source.

    Rows are interleaved: every contiguous run of rows holds each source's share to within two rows. So a batch that is
    split in order into the minibatches of a high update ratio never becomes "first only online, then only demos".
    Half online and half demonstrations is the symmetric sampling of Ball et al. 2023 (arXiv:2302.02948).

    Args:
        sources: pairs of a source and its share; the shares must sum to 1.
        batch_size: rows of a batch.
    """

    def __init__(self, sources: Sequence[tuple[Source, float]], batch_size: int) -> None:
        shares = np.array([share for _, share in sources], dtype=np.float64)
        if not len(shares) or (shares <= 0).any() or not np.isclose(shares.sum(), 1.0):
            raise ConfigError(f"the shares of a mixture must be positive and sum to 1, not {shares.tolist()}")
        owners = interleave(shares, batch_size)
        self._batch_size = batch_size
        self._rows = [np.flatnonzero(owners == owner) for owner in range(len(shares))]
        if not all(map(len, self._rows)):
            raise ConfigError(
                f"a batch of {batch_size} is too small for the shares {shares.tolist()}: one source gets no row"
            )
        self._sources = [source for source, _ in sources]

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        flats = [dict(leaves(source.sample(len(rows)))) for source, rows in zip(self._sources, self._rows, strict=True)]
        if any(flat.keys() != flats[0].keys() for flat in flats):
            names = [sorted("/".join(path) for path in flat) for flat in flats]
            raise SchemaMismatch(f"the sources of a mixture have different fields: {names}")
        return nest({path: self._merge([flat[path] for flat in flats]) for path in flats[0]})

    def state_dict(self) -> list[dict[str, Any]]:
        """The state of each source's draws, in order."""
        return [source.state_dict() for source in self._sources]

    def load_state_dict(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Restore the draws of every source; the sources must hold their data again.

        Raises:
            CheckpointError: another number of sources, or a source with less data than then.
        """
        if len(states) != len(self._sources):
            raise CheckpointError(f"the checkpoint mixed {len(states)} sources, this run mixes {len(self._sources)}")
        for source, state in zip(self._sources, states, strict=True):
            source.load_state_dict(state)

    def _merge(self, parts: list[np.ndarray]) -> np.ndarray:
        merged = np.empty((self._batch_size, *parts[0].shape[1:]), parts[0].dtype)
        for rows, part in zip(self._rows, parts, strict=True):
            merged[rows] = part
        return merged


def interleave(shares: np.ndarray, length: int) -> np.ndarray:
    """The source of each row, as evenly mixed as possible: each row is of the source that is furthest behind its share.

    Args:
        shares: (n,) positive, summing to 1.
        length: number of rows.

    Returns:
        (length,) integers in 0..n-1.
    """
    owners = np.empty(length, dtype=np.intp)
    given = np.zeros(len(shares))
    for row in range(length):
        owners[row] = np.argmax(shares * (row + 1) - given)
        given[owners[row]] += 1
    return owners
