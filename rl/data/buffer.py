"""The protocols of buffers that transitions are inserted into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Buffer(Protocol):
    """A buffer for `capacity` transitions, of which it holds `len`."""

    capacity: int

    def __len__(self) -> int:
        """Number of transitions that can be sampled."""
        ...

    def extend(self, batch: Mapping[str, Any]) -> None:
        """Store a batch of transitions in order."""
        ...


class RingBuffer(Buffer, Protocol):
    """A buffer of the newest transitions."""

    @property
    def inserted(self) -> int:
        """The number of transitions that were ever inserted."""
        ...

    @property
    def history(self) -> int:
        """The newest transitions from which a new buffer comes to hold what this one holds."""
        ...

    def skip(self, count: int) -> None:
        """Count transitions that are gone already, before the first one is inserted."""
        ...
