"""Timer: average wall-clock times of named sections."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from rl.errors import ConfigError


class Timer:
    """Measures sections that may repeat and overlap, each under its own name."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything, running sections included."""
        self._totals_s: dict[str, float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)
        self._starts_s: dict[str, float] = {}

    def tick(self, name: str) -> None:
        """Start a section.

        Raises:
            ConfigError: it is running already.
        """
        if name in self._starts_s:
            raise ConfigError(f"the timer section {name!r} runs already: tock it before the next tick")
        self._starts_s[name] = time.perf_counter()

    def tock(self, name: str) -> None:
        """End a section.

        Raises:
            ConfigError: it was not started.
        """
        if name not in self._starts_s:
            raise ConfigError(f"the timer section {name!r} does not run: tick it first")
        self._totals_s[name] += time.perf_counter() - self._starts_s.pop(name)
        self._counts[name] += 1

    @contextmanager
    def context(self, name: str) -> Iterator[None]:
        """Measure a `with` block, also when it raises."""
        self.tick(name)
        try:
            yield
        finally:
            self.tock(name)

    def get_average_times(self, reset: bool = True) -> dict[str, float]:
        """Mean seconds of each finished section; by default the averages start anew, running sections go on."""
        averages = {name: total / self._counts[name] for name, total in self._totals_s.items()}
        if reset:
            self._totals_s.clear()
            self._counts.clear()
        return averages
