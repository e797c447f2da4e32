"""Prefetch: samples and converts the next batches in a thread while the learner computes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch

from rl.errors import DataError
from rl.utils.tree import Batch, map_leaves


class Batches(Protocol):
    """An endless stream of numpy batches whose position can be saved."""

    def __next__(self) -> Batch:
        """The next batch."""
        ...

    def state_dict(self) -> Any:
        """The position of the stream."""
        ...


class Prefetch:
    """An iterator of nested dicts of tensors on `device`, in the order of the source.

    An error of the source is raised by the `next()` that would have returned its batch, and by every one after it.

    Args:
        batches: the source; after this only the prefetcher's thread uses it.
        device: where the tensors go; on the way to a CUDA device they are pinned and copied asynchronously.
        depth: how many batches may wait.
    """

    def __init__(self, batches: Batches, *, device: torch.device | str = "cpu", depth: int = 2) -> None:
        self._batches = batches
        self._device = torch.device(device)
        self._depth = depth
        self._ready: deque[tuple[Batch, Any]] = deque()
        self._state = batches.state_dict()
        self._error: BaseException | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
        self._thread.start()

    def __enter__(self) -> Prefetch:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._error or self._closed)
            if self._closed:
                raise DataError("the prefetcher is closed")
            if not self._ready:
                assert self._error is not None
                raise self._error
            batch, self._state = self._ready.popleft()
            self._changed.notify_all()
        return batch

    def state_dict(self) -> Any:
        """The source's position after the batch that `next()` returned last: a batch that waits here is drawn again."""
        with self._changed:
            return self._state

    def close(self) -> None:
        """End the thread; waiting batches are dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while self._wait_for_room():
            try:
                batch = to_tensors(next(self._batches), self._device)
                item = (batch, self._batches.state_dict())
            except BaseException as error:  # handed over to the consumer, who raises it
                self._fail(error)
                return
            with self._changed:
                self._ready.append(item)
                self._changed.notify_all()

    def _wait_for_room(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: len(self._ready) < self._depth or self._closed)
            return not self._closed

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._error = error
            self._changed.notify_all()


def to_tensors(batch: Batch, device: torch.device) -> Batch:
    """A nested dict of arrays as tensors on `device`; a copy to a CUDA device need not have arrived yet."""

    def to_tensor(array: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(array)
        if device.type != "cuda":
            return tensor.to(device)
        return tensor.pin_memory().to(device, non_blocking=True)

    return map_leaves(to_tensor, batch)
