"""`Tally`: a count of something that is said ever more rarely."""

from __future__ import annotations


class Tally:
    """Counts what happens, and picks the first, the tenth, the hundredth time and so on."""

    def __init__(self) -> None:
        self.count, self._next = 0, 1

    def is_time_to_say(self) -> bool:
        """Count once more; True where it should be said."""
        self.count += 1
        if self.count < self._next:
            return False
        self._next *= 10
        return True
