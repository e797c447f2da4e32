"""`Seen`: what has come to the arm as far as this client's user has been told, which its commands say."""

from __future__ import annotations

from robotkit.schema import RobotState

_Counts = tuple[int, ...]
_COUNTS = 3


class Seen:
    """Counts that only grow, in whatever order the answers of one start of the server arrive.

    It needs no lock: a signal handler may come at any line of it.
    """

    def __init__(self) -> None:
        self._start: str | None = None
        self._told: set[_Counts] = set()

    @property
    def text(self) -> str | None:
        """The stops, recoveries and holds, as `SEEN_HEADER` has them; None: the user has been told of none."""
        counts = self._counts()
        return None if counts is None else ",".join(map(str, counts))

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
        counts = _counts_in(text)
        if counts is not None:
            self._add(counts)

    def stopped(self, text: str | None) -> None:
        """The user has stopped the arm, with which `text` had come: he has seen that, unless more than it had."""
        seen, told = self._counts(), _counts_in(text)
        if seen is not None and told == (seen[0] + 1, *seen[1:]):
            self._add(told)

    def forget(self) -> None:
        """The next state that is read is the first."""
        self._told = set()

    def _counts(self) -> _Counts | None:
        told = self._told.copy()
        return tuple(max(numbers) for numbers in zip(*told, strict=True)) if told else None

    def _add(self, counts: _Counts) -> None:
        told = self._told
        if counts not in told:
            told.add(counts)
            for other in told.copy():
                if other != counts and all(map(int.__le__, other, counts)):
                    told.discard(other)


def _counts_in(text: str | None) -> _Counts | None:
    numbers = (text or "").split(",")
    is_sound = len(numbers) == _COUNTS and all(map(str.isdecimal, numbers))
    return tuple(map(int, numbers)) if is_sound else None
