"""`Seen`: what has come to the arm as far as this client's user has been told, which its commands say."""

from __future__ import annotations

from robotkit.schema import RobotState

_Counts = tuple[int, ...]
_COUNTS = 3


class Seen:
    """Each of its numbers only grows, in whatever order the answers of one start of the server arrive.

    It needs no lock: a signal handler may come at any line of it.
    """

    def __init__(self) -> None:
        self._start: str | None = None
        self._told: set[_Counts] = set()

    @property
    def text(self) -> str | None:
        """The stops, recoveries and holds, as `SEEN_HEADER` has them; None: the user has been told of none."""
        told = self._told.copy()
        return ",".join(str(max(numbers)) for numbers in zip(*told, strict=True)) if told else None

    def answered(self, start: str | None) -> None:
        """An answer has come of this start of the server, another of which counts anew; None: it does not tell."""
        if start is not None and start != self._start:
            self._start = start
            self.forget()

    def read(self, state: RobotState) -> None:
        """The user gets `state`; a server that does not tell of holds is told nothing of them either."""
        if state.holds is None:
            self.forget()
        else:
            self._add((state.stops, state.recoveries, state.holds))

    def told(self, text: str | None) -> None:
        """The server says, as `SEEN_HEADER` does, what the user has seen with what he has asked for; None: nothing."""
        numbers = (text or "").split(",")
        if len(numbers) == _COUNTS and all(map(str.isdecimal, numbers)):
            self._add(tuple(map(int, numbers)))

    def forget(self) -> None:
        """The next state that is read is the first."""
        self._told = set()

    def _add(self, counts: _Counts) -> None:
        told = self._told
        if counts not in told:
            told.add(counts)
            for other in told.copy():
                if other != counts and all(map(int.__le__, other, counts)):
                    told.discard(other)
