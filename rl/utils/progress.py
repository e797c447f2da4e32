"""How fast something goes and when it will be done: over wall time, as a bar on a terminal and as lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY_S = 10.0
"""Seconds between two lines where there is no terminal."""


class RateMeter:
    """Rates of counters over the wall time of the last minute.

    Args:
        window_s: what counts as the last minute.
    """

    def __init__(self, window_s: float = 60.0) -> None:
        self._window_s = window_s
        self._marks: deque[tuple[float, ...]] = deque()

    def add(self, now_s: float, *counters: float) -> None:
        """Take the counters as they are now; where one has fallen, as after a restart, the rates begin anew."""
        mark = (now_s, *counters)
        if self._marks and any(new < old for new, old in zip(mark, self._marks[-1], strict=True)):
            self._marks.clear()
        if len(self._marks) > 1 and now_s - self._marks[-2][0] < self._window_s / 60.0:
            self._marks.pop()
        self._marks.append(mark)
        while len(self._marks) > 2 and now_s - self._marks[1][0] >= self._window_s:
            self._marks.popleft()

    def rates_per_s(self) -> tuple[float, ...]:
        """One rate for each counter, 0 before there are two marks."""
        if not self._marks:
            return ()
        (then_s, *before), (now_s, *after) = self._marks[0], self._marks[-1]
        return tuple(
            (new - old) / (now_s - then_s) if now_s > then_s else 0.0 for new, old in zip(after, before, strict=True)
        )


def time_left(rest: float, rate_per_s: float) -> str:
    """How long the rest takes at this rate, in words; empty where nothing moves or nothing is left."""
    if rate_per_s <= 0.0 or rest <= 0:
        return ""
    minutes, seconds = divmod(round(rest / rate_per_s), 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    return f"about {clock} left"


@contextmanager
def show_progress(
    console: Console, what: str, total: int | None, done: int = 0, clock_s: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[int, str], None]]:
    """Show how far something is, with the time that is left.

    Args:
        console: a bar that goes away on a terminal; elsewhere a line every ten seconds.
        what: is counted.
        total: how many there will be; None where nobody knows.
        done: how many there are at the beginning.
        clock_s: monotonic time in seconds.

    Yields:
        What takes the number that is done so far, and some words about it.
    """
    if not console.is_terminal:
        yield _Lines(console, what, total, done, clock_s).show
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[words]}"))
    with Progress(TextColumn("{task.description}"), *columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total, completed=done, words="")
        yield lambda so_far, words: bar.update(task, completed=so_far, words=words)


class _Lines:
    """A line every ten seconds."""

    def __init__(self, console: Console, what: str, total: int | None, done: int, clock_s: Callable[[], float]) -> None:
        self._console, self._what, self._total, self._clock_s = console, what, total, clock_s
        self._meter = RateMeter()
        self._said_s = clock_s()
        self._meter.add(self._said_s, done)

    def show(self, done: int, words: str) -> None:
        """Print a line where it is time to."""
        now_s = self._clock_s()
        self._meter.add(now_s, done)
        if now_s - self._said_s < LINE_EVERY_S:
            return
        self._said_s = now_s
        of_total = "" if self._total is None else f"/{self._total}"
        left = "" if self._total is None else time_left(self._total - done, *self._meter.rates_per_s())
        parts = [f"{self._what} {done}{of_total}", words, left]
        self._console.print(", ".join(filter(None, parts)), highlight=False, soft_wrap=True, markup=False)
