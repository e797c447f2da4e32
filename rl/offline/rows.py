"""Rows of a recorded data set as batches of tensors: torch's DataLoader over arrays in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Sampler

from rl.common.typing import Batch
from rl.errors import DataError, SchemaMismatch
from rl.utils.distributed import SINGLE_PROCESS, ProcessGroup
from rl.utils.seeds import Seeds
from rl.utils.tree import leaves, map_leaves


class EpochOrder(Protocol):
    """The protocol of an object that decides the order of an epoch's rows."""

    def set_epoch(self, epoch: int) -> None:
        """Draw the order of this epoch, which depends on nothing before it."""
        ...


class Rows(Dataset[Batch]):
    """A nested dict of arrays with one leading axis; a list of rows is fetched at once.

    The tensors live in shared memory as soon as a worker needs them, so workers do not copy them.

    Args:
        batch: arrays or tensors.

    Raises:
        DataError: there are no rows.
        SchemaMismatch: the fields have different lengths.
    """

    def __init__(self, batch: Mapping[str, Any]) -> None:
        self.fields = map_leaves(torch.as_tensor, batch)
        lengths = {"/".join(path): len(field) for path, field in leaves(self.fields)}
        if len(set(lengths.values())) > 1:
            raise SchemaMismatch(f"the fields of a data set must have one length: {lengths}")
        self._length = next(iter(lengths.values()), 0)
        if not self._length:
            raise DataError("there is nothing to learn from: the data set has no rows")

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, row: int) -> Batch:
        return map_leaves(lambda field: field[row], self.fields)

    def __getitems__(self, rows: Sequence[int]) -> Batch:
        """The rows as one batch: DataLoader asks for this instead of joining single rows."""
        index = torch.as_tensor(rows)
        return map_leaves(lambda field: field[index], self.fields)


class BalancedBatches(Sampler[list[int]]):
    """Batches with equally many rows of each class: an epoch shows every row of the rarest class once.

    What the last batch lacks is filled up with rows that were shown already.

    Args:
        labels: 0 or 1, or the number of its class, for each row.
        batch_size: rows of a batch, over all processes; what does not divide among the classes is left out.
        seed: of the order.
        group: each process takes its shard of every batch.
        classes: how many classes there are.

    Raises:
        DataError: one class is missing.
    """

    def __init__(
        self, labels: np.ndarray, batch_size: int, seed: int, group: ProcessGroup = SINGLE_PROCESS, classes: int = 2
    ) -> None:
        self._classes = [np.flatnonzero(labels == label) for label in reversed(range(classes))]
        if missing := [classes - 1 - index for index, rows in enumerate(self._classes) if not len(rows)]:
            names = ("negative", "positive")
            kind = names[missing[0]] if classes == 2 else f"class {missing[0]}"
            raise DataError(f"there is no {kind} frame to learn from")
        shard = group.shard_size(batch_size)
        self._part = shard // classes
        if self._part < 1:
            raise DataError(f"a balanced batch needs {classes} rows or more for each process, not {shard}")
        self._seeds = Seeds(seed)
        self._group = group
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """See `EpochOrder`."""
        self._epoch = epoch

    def __len__(self) -> int:
        rarer = min(len(rows) for rows in self._classes)
        return -(-rarer // (self._part * self._group.size))

    def __iter__(self) -> Iterator[list[int]]:
        generator = self._seeds.generator(f"balanced batches of epoch {self._epoch}")
        joint = len(self) * self._part * self._group.size
        columns = [_shuffled(rows, joint, generator)[self._group.rank :: self._group.size] for rows in self._classes]
        for start in range(0, len(self) * self._part, self._part):
            yield [int(row) for column in columns for row in column[start : start + self._part]]


def shuffled_loader(
    rows: Rows, batch_size: int, seed: int, *, group: ProcessGroup = SINGLE_PROCESS, workers: int = 0, pin: bool = False
) -> tuple[DataLoader[Batch], EpochOrder]:
    """Batches of all rows in random order, a shard of each batch for every process of the group.

    Args:
        rows: where they come from.
        batch_size: rows of a batch, over all processes.
        seed: of the order.
        group: the processes; rows that do not divide among them are left out.
        workers: processes that fetch; 0 fetches in this one.
        pin: whether batches are put into pinned memory, for a GPU.
    """
    if len(rows) < group.size:
        raise DataError(f"{len(rows)} rows do not suffice for {group.size} processes")
    order: DistributedSampler[Batch] = DistributedSampler(
        rows, group.size, group.rank, shuffle=True, seed=seed, drop_last=True
    )
    shard = group.shard_size(batch_size)
    return DataLoader(rows, shard, sampler=order, **_options(workers, pin)), order


def balanced_loader(
    rows: Rows,
    labels: np.ndarray,
    batch_size: int,
    seed: int,
    *,
    group: ProcessGroup = SINGLE_PROCESS,
    workers: int = 0,
    pin: bool = False,
    classes: int = 2,
) -> tuple[DataLoader[Batch], EpochOrder]:
    """Batches as `BalancedBatches` draws them; the other arguments are those of `shuffled_loader`."""
    order = BalancedBatches(labels, batch_size, seed, group, classes)
    return DataLoader(rows, batch_sampler=order, **_options(workers, pin)), order


def _options(workers: int, pin: bool) -> dict[str, Any]:
    options: dict[str, Any] = {"num_workers": workers, "collate_fn": _as_it_is, "pin_memory": pin}
    if workers:
        # A fork would copy the locks of threads that do not exist in the child.
        options |= {"persistent_workers": True, "prefetch_factor": 4, "multiprocessing_context": "forkserver"}
    return options


def _as_it_is(batch: Batch) -> Batch:
    return batch


def _shuffled(rows: np.ndarray, length: int, generator: np.random.Generator) -> np.ndarray:
    """`length` of the rows: all once in random order, then all once again, as often as it takes."""
    return np.concatenate([generator.permutation(rows) for _ in range(-(-length // len(rows)))])[:length]


def on_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device; from pinned memory the copy does not wait."""

    def move(field: Tensor) -> Tensor:
        return field.to(device, non_blocking=True)

    return map_leaves(move, batch)
