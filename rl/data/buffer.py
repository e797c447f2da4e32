"""Buffer: the protocol of replay buffers that transitions are inserted into."""

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
