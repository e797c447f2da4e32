"""Outbox: the actor's bounded queue of transitions that the learner has not acknowledged yet."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal

from rl.errors import ConfigError, LinkProtocolError
from rl.link.frames import Chunk
from rl.utils.tree import stack

logger = logging.getLogger(__name__)

_SAY_EVERY = 1000

Overflow = Literal["wait", "drop_oldest"]


class Outbox:
    """Numbers transitions, keeps them until they are acknowledged, and goes back after a reconnect.

    A transition gets its number when it is first sent. So what overflows is thrown away before it had one, and the
    numbers that the learner sees have no holes.

    Args:
        capacity: transitions held at most, at least 2; at most half of them are under way at a time.
        overflow: what `put` does when it is full. "wait" blocks, which a simulation does not mind. "drop_oldest" throws
            away the oldest unsent transition and counts it, because a real robot cannot wait.
    """

    def __init__(self, capacity: int, overflow: Overflow) -> None:
        if capacity < 2:
            raise ConfigError(f"an actor's queue needs room for at least 2 transitions, not {capacity}")
        self._capacity = capacity
        self._window = capacity // 2
        self._overflow = overflow
        self._items: deque[tuple[Mapping[str, Any], bool]] = deque()  # transition, does it follow a gap
        self._first = 0  # number of the oldest item
        self._numbered = 0  # items that were sent at least once: their numbers are fixed
        self._sent = 0  # items that were sent on this connection
        self._dropped = 0
        self._next_follows_gap = False
        self._closed = False
        self._room = threading.Condition()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def next_sequence(self) -> int:
        """The number that the next transition would get if nothing is dropped."""
        with self._room:  # an acknowledgement changes both numbers
            return self._first + len(self._items)

    @property
    def dropped(self) -> int:
        """The number of transitions dropped so far."""
        return self._dropped

    def put(self, transition: Mapping[str, Any]) -> None:
        """Add one transition (no leading axis). It is kept as it is, so the caller must not write to its arrays."""
        with self._room:
            if self._overflow == "wait":
                self._room.wait_for(lambda: len(self._items) < self._capacity or self._closed)
            elif len(self._items) >= self._capacity:
                self._drop()
            self._items.append((transition, self._next_follows_gap))
            self._next_follows_gap = False

    def tear(self) -> None:
        """End the trajectory at the last transition, as at a truncation: the next one does not continue it."""
        with self._room:
            self._next_follows_gap = True

    def take(self, max_count: int) -> Chunk | None:
        """The next chunk to send, or None when there is nothing to send or too much is under way."""
        with self._room:
            count = min(max_count, len(self._items) - self._sent, self._window - self._sent)
            if count <= 0:
                return None
            chosen = [self._items[self._sent]]
            for index in range(self._sent + 1, self._sent + count):
                if self._items[index][1]:
                    break
                chosen.append(self._items[index])
            chunk = Chunk(self._first + self._sent, stack([item for item, _ in chosen]), chosen[0][1])
            self._sent += len(chosen)
            self._numbered = max(self._numbered, self._sent)
            return chunk

    def acknowledge(self, last_sequence: int) -> None:
        """Forget everything up to `last_sequence`: it is on the learner's disk.

        Raises:
            LinkProtocolError: that was never sent.
        """
        with self._room:
            count = last_sequence + 1 - self._first
            if count > self._numbered:
                raise LinkProtocolError(f"the learner acknowledges transition {last_sequence}, which was never sent")
            for _ in range(count):
                self._items.popleft()
            if count > 0:
                self._first += count
                self._numbered -= count
                self._sent = max(0, self._sent - count)
                self._room.notify_all()

    def rewind(self, last_sequence: int) -> None:
        """Send everything again, after a reconnect, that the learner has not stored.

        Raises:
            LinkProtocolError: the learner has lost what it had acknowledged, or has something that was never sent.
        """
        with self._room:
            if last_sequence + 1 < self._first:
                raise LinkProtocolError(
                    f"the learner stored transitions up to {last_sequence} only, but had acknowledged "
                    f"{self._first - 1}: its journal was replaced; start this actor again"
                )
            self.acknowledge(last_sequence)
            self._sent = 0

    def close(self) -> None:
        """Let a waiting `put` go on, over the capacity if need be."""
        with self._room:
            self._closed = True
            self._room.notify_all()

    def _drop(self) -> None:
        """Throw away the oldest unnumbered item; its successor, or what comes next, follows a gap."""
        del self._items[self._numbered]
        self._dropped += 1
        if self._dropped == 1 or self._dropped % _SAY_EVERY == 0:
            logger.warning("dropped %d transitions: the learner is away or too slow", self._dropped)
        if self._numbered < len(self._items):
            transition, _ = self._items[self._numbered]
            self._items[self._numbered] = (transition, True)
        else:
            self._next_follows_gap = True
