"""Dataset: a fixed set of transitions that can be sampled, split, filtered by return and rescaled."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from rl.data.uniform_sampler import UniformSampler
from rl.errors import ConfigError, DataError, SchemaMismatch
from rl.utils.tree import Batch, FlatBatch, leaves, nest


class Dataset:
    """Transitions in the order of their trajectories; `dones` marks the last step of each.

    Args:
        batch: nested dict of arrays with a leading axis of one length.
        seed: seed of the dataset's own generator.

    Raises:
        SchemaMismatch: no fields, or fields of different lengths.
    """

    def __init__(self, batch: Mapping[str, Any], *, seed: int) -> None:
        self._flat: FlatBatch = {path: np.asarray(value) for path, value in leaves(batch)}
        lengths = {"/".join(path): array.shape[:1] for path, array in self._flat.items()}
        if len(set(lengths.values())) != 1:
            raise SchemaMismatch(f"the fields of a dataset must have one length: {lengths}")
        self._seed = seed
        self._sampler = UniformSampler(seed)

    def __len__(self) -> int:
        return len(next(iter(self._flat.values())))

    @property
    def data(self) -> Batch:
        """Every transition, as a nested dict of the dataset's own arrays."""
        return nest(self._flat)

    def sample(
        self, batch_size: int, *, keys: Collection[str] | None = None, indices: np.ndarray | None = None
    ) -> Batch:
        """Draw transitions uniformly with replacement, or take those at `indices`.

        Args:
            batch_size: how many.
            keys: only these top-level fields; all by default.
            indices: (batch_size,) rows to take instead of drawing.

        Raises:
            DataError: `indices` do not fit, a key is unknown, or the dataset is empty.
        """
        rows = self._sampler.choose(len(self), batch_size, indices)
        return nest({path: array[rows] for path, array in self._select(keys).items()})

    def split(self, ratio: float) -> tuple[Dataset, Dataset]:
        """Split at random into two datasets, the first with `ratio` of the transitions; the order stays.

        Raises:
            ConfigError: `ratio` is not inside (0, 1).
        """
        if not 0.0 < ratio < 1.0:
            raise ConfigError(f"a dataset is split at a ratio inside (0, 1), not {ratio}")
        chosen = np.zeros(len(self), dtype=bool)
        chosen[self._sampler.permutation(len(self))[: int(len(self) * ratio)]] = True
        return self._rows(chosen), self._rows(~chosen)

    def filter(self, *, take_top: float | None = None, threshold: float | None = None) -> Dataset:
        """Keep whole trajectories by their return.

        Args:
            take_top: keep those at or above this top percentage (10 keeps the best tenth).
            threshold: keep those with at least this return.

        Raises:
            ConfigError: not exactly one of the two is given.
        """
        if (take_top is None) == (threshold is None):
            raise ConfigError("filter by `take_top` or by `threshold`: give exactly one of them")
        returns, trajectories = self._returns()
        least = float(np.percentile(returns, 100.0 - take_top)) if take_top is not None else threshold
        return self._rows((returns >= least)[trajectories])

    def normalize_returns(self, scaling: float = 1000.0) -> Dataset:
        """Rescale rewards so that the returns of the trajectories span `scaling`.

        Raises:
            DataError: all returns are equal, so there is no span.
        """
        returns, _ = self._returns()
        span = float(returns.max() - returns.min())
        if span == 0.0:
            raise DataError(f"every trajectory has the return {returns[0]}: there is nothing to normalise by")
        rewards = self._flat["rewards",]
        scaled = {("rewards",): (rewards / span * scaling).astype(rewards.dtype)}
        return Dataset(nest(self._flat | scaled), seed=self._seed)

    def _returns(self) -> tuple[np.ndarray, np.ndarray]:
        """Undiscounted return of each trajectory (the unfinished last one too), and the trajectory of each row."""
        ends = self._flat["dones",] > 0
        trajectories = np.concatenate([[0], np.cumsum(ends)[:-1]]).astype(np.intp)
        return np.bincount(trajectories, weights=self._flat["rewards",]), trajectories

    def _rows(self, chosen: np.ndarray) -> Dataset:
        rows = nest({path: array[chosen] for path, array in self._flat.items()})
        return Dataset(rows, seed=self._seed)

    def _select(self, keys: Collection[str] | None) -> FlatBatch:
        if keys is None:
            return self._flat
        unknown = set(keys) - {path[0] for path in self._flat}
        if unknown:
            raise DataError(f"the dataset has no field {sorted(unknown)}; it has {sorted({p[0] for p in self._flat})}")
        return {path: array for path, array in self._flat.items() if path[0] in keys}
