"""`Repeats`: what may come without end is written at once, and then counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from servers.events import Event

REPEAT_S = 1.0
SORTS_MAX = 32
_COUNTED = frozenset({"refused", "unauthorized", "stop", "recover_failed"})
_MANY = "many clients"


class Line(NamedTuple):
    """An event, and how many it stands for: itself, and those like it since the line before."""

    when: datetime
    event: Event
    times: int


class _Sort(NamedTuple):
    """Events that are alike: when their last line was made, and the one that follows."""

    written: datetime
    following: Line | None


class Repeats:
    """Makes lines of events, one a second of each sort that may be repeated; the first of a sort is a line at once.

    Alike are events with kind, author, address and code in common, and stops with their cause as well. Whoever changes
    its name with each request makes `SORTS_MAX` sorts a second: what is new beyond them counts as of `many clients`.
    """

    def __init__(self) -> None:
        self._sorts: dict[tuple[str, ...], _Sort] = {}

    def add(self, when: datetime, event: Event) -> list[Line]:
        """The lines to write, now that `event` has happened."""
        lines = list(self._due(when))
        if event.kind not in _COUNTED:
            if event.kind == "recover":
                # A stop that comes now repeats none before it.
                lines += self._end("stop")
            return [*lines, Line(when, event, 1)]
        cause = event.message if event.kind == "stop" else ""
        key: tuple[str, ...] = (event.kind, event.author, event.address, event.code, cause)
        if key not in self._sorts and len(self._sorts) >= SORTS_MAX:
            key, event = (event.kind, _MANY), replace(event, author=_MANY, address="")
        sort = self._sorts.get(key)
        if sort is None:
            self._sorts[key] = _Sort(when, None)
            return [*lines, Line(when, event, 1)]
        times = 0 if sort.following is None else sort.following.times
        self._sorts[key] = _Sort(sort.written, Line(when, event, times + 1))
        return lines

    def flush(self) -> list[Line]:
        """What was counted and not written, and begin anew."""
        return list(self._end())

    def _due(self, when: datetime) -> Iterator[Line]:
        for key, (written, following) in list(self._sorts.items()):
            # The clock of the day may be set back.
            if timedelta(0) <= when - written < timedelta(seconds=REPEAT_S):
                continue
            if following is None:
                del self._sorts[key]
            else:
                self._sorts[key] = _Sort(when, None)
                yield following

    def _end(self, kind: str | None = None) -> Iterator[Line]:
        for key in [key for key in self._sorts if kind in (None, key[0])]:
            following = self._sorts.pop(key).following
            if following is not None:
                yield following
