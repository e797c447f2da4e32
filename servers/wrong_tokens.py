"""`WrongTokens`: finds the addresses that send too many wrong tokens."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

MOST = 10
WITHIN_S = 10.0
_ADDRESSES_MAX = 1024
"""Beyond these the address that was silent for longest is forgotten."""


class WrongTokens:
    """Used on the event loop only.

    Args:
        on_flood: called with an address whenever it begins to send more than `MOST` within `WITHIN_S`.
        now_s: seconds on a clock that never jumps.
    """

    def __init__(self, on_flood: Callable[[str], None], now_s: Callable[[], float] = time.monotonic) -> None:
        self._on_flood = on_flood
        self._now_s = now_s
        self._last_s: dict[str, deque[float]] = {}
        """Time at which each address sent its last ones."""
        self._floods: set[str] = set()

    def add(self, address: str) -> float:
        """Note one more; for how many seconds the address had better send none, 0 while it may."""
        now_s = self._now_s()
        last_s = self._last_s.pop(address, None) or deque(maxlen=MOST)
        self._last_s[address] = last_s
        is_flood = len(last_s) == MOST and now_s - last_s[0] < WITHIN_S
        last_s.append(now_s)
        if len(self._last_s) > _ADDRESSES_MAX:
            silent = next(iter(self._last_s))
            del self._last_s[silent]
            self._floods.discard(silent)
        if not is_flood:
            self._floods.discard(address)
            return 0.0
        if address not in self._floods:
            self._floods.add(address)
            self._on_flood(address)
        return last_s[0] + WITHIN_S - now_s
