"""TransitionSink: what transitions are put into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class TransitionSink(Protocol):
    """A buffer with room for `capacity` transitions, of which `len` are there."""

    capacity: int

    def __len__(self) -> int:
        """How many can be sampled."""
        ...

    def extend(self, batch: Mapping[str, Any]) -> None:
        """Store a batch of transitions in order."""
        ...
