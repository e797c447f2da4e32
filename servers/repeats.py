"""`Repeats`: writes the first of many similar events at once, and then counts those that follow."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from servers.events import Event

REPEAT_S = 1.0
SORTS_MAX = 32
ALL_SORTS_MAX = 256
_ONCE = frozenset({"server_start", "server_stop"})
"""Kinds of events that no client can bring about."""
_MANY = "many clients"


class Line(NamedTuple):
    """An event, and how many it stands for: itself, and those like it since the line before."""

    when: datetime
    event: Event
    times: int


def _when(line: Line) -> datetime:
    return line.when


class _Key(NamedTuple):
    """The facts that events which are alike have in common."""

    kind: str
    is_weighty: bool
    author: str
    address: str
    code: str
    cause: str

    @property
    def classes(self) -> tuple[tuple[object, ...], tuple[object, ...]]:
        """The classes whose sorts are counted: of its kind, and of its kind and address."""
        return (self.kind, self.is_weighty), (self.kind, self.is_weighty, self.address)


class _Sort(NamedTuple):
    """Events that are alike: when their last line was made, and the one that follows."""

    written: datetime
    following: Line | None


class Repeats:
    """Makes lines of events, one a second of each sort that may be repeated; the first of a sort is a line at once.

    Alike are events with kind, weight, author, address and code in common; stops and holds with their cause as well.
    Whoever changes its name with each request makes `SORTS_MAX` sorts of a kind a second: what is new beyond them, and
    comes from the same address, counts as of `many clients`. So does everybody's of that kind beyond `ALL_SORTS_MAX`.
    Weighty events are counted apart from the others.
    """

    def __init__(self) -> None:
        self._sorts: OrderedDict[_Key, _Sort] = OrderedDict()
        """Sorts of events, in the order in which their last lines were made."""
        self._counts: Counter[tuple[object, ...]] = Counter()
        """How many sorts of a kind and weight there are, and of those how many have each address."""

    def add(self, when: datetime, event: Event) -> list[Line]:
        """The lines to write, now that `event` has happened."""
        lines = sorted(self._due(when), key=_when)
        if event.kind in _ONCE:
            return [*lines, Line(when, event, 1)]
        key, event = self._sort_of(event)
        sort = self._sorts.get(key)
        if sort is None:
            if event.kind == "recover":
                # A stop that comes now repeats none before it.
                lines += self._end("stop")
            self._sorts[key] = _Sort(when, None)
            self._counts.update(key.classes)
            return [*lines, Line(when, event, 1)]
        times = 0 if sort.following is None else sort.following.times
        self._sorts[key] = _Sort(sort.written, Line(when, event, times + 1))
        return lines

    def flush(self) -> list[Line]:
        """Return the lines that were counted and not written, and begin again."""
        return sorted(self._end(), key=_when)

    def _sort_of(self, event: Event) -> tuple[_Key, Event]:
        """The key of the event's sort, and the event as it is counted."""
        cause = event.message if event.kind in ("stop", "hold") else ""
        key = _Key(event.kind, event.is_weighty, event.author, event.address, event.code, cause)
        if key in self._sorts:
            return key, event
        of_kind, of_address = (self._counts[one] for one in key.classes)
        if of_address < SORTS_MAX and of_kind < ALL_SORTS_MAX:
            return key, event
        address = event.address if of_address >= SORTS_MAX else ""
        return _Key(event.kind, event.is_weighty, _MANY, address, "", ""), replace(event, author=_MANY, address=address)

    def _due(self, when: datetime) -> Iterator[Line]:
        while self._sorts:
            key, (written, following) = next(iter(self._sorts.items()))
            # The clock of the day may be set back.
            if timedelta(0) <= when - written < timedelta(seconds=REPEAT_S):
                return
            if following is None:
                self._forget(key)
            else:
                self._sorts[key] = _Sort(when, None)
                self._sorts.move_to_end(key)
                yield following

    def _end(self, kind: str | None = None) -> Iterator[Line]:
        for key in [key for key in self._sorts if kind in (None, key.kind)]:
            following = self._forget(key).following
            if following is not None:
                yield following

    def _forget(self, key: _Key) -> _Sort:
        for one in key.classes:
            self._counts[one] -= 1
            if not self._counts[one]:
                del self._counts[one]
        return self._sorts.pop(key)
