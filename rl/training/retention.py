"""Retention: which transitions of a journal a resume still needs, and when the others are deleted."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from rl.data.journal import Block
from rl.data.n_step import NStep
from rl.data.pruning import Rows
from rl.data.schema import IS_INTERVENTION
from rl.errors import JournalError
from rl.utils.option_words import option

logger = logging.getLogger(__name__)

_MARKS = 8  # so a journal holds at most a quarter more than it needs to, and is seldom rewritten

Forget = Callable[[int, Iterable[Rows]], None]
"""Deletes the transitions of a journal before a row, except some rows: `TransitionJournal.forget`."""


@dataclass
class Stream:
    """One actor's transitions: the n-step returns that are under way, and where they are in the journal."""

    actor_id: str
    """The actor's newest attempt."""
    n_step: NStep
    next_sequence: int = 0
    """The attempt's own number of the next transition."""
    owed: int = 0
    """Next transitions that belong to the n-step return of an intervention."""
    rows: deque[int] = field(default_factory=deque)
    """The newest rows, as many as an n-step return spans at most before it is complete."""

    def continues(self, block: Block) -> bool:
        """True when this block goes on where the stream is, with nothing left out in between."""
        is_next = (self.actor_id, self.next_sequence) == (block.actor_id, block.first_sequence)
        return is_next and not block.follows_gap

    def turn_to(self, block: Block) -> None:
        """Begin anew with this block; where it cuts an intervention's return short, its first row tells when."""
        self.actor_id, self.owed = block.actor_id, min(self.owed, 1)


@dataclass(frozen=True)
class _Mark:
    """A row at which a journal could begin."""

    row: int
    inserted: int
    """Transitions that were in the replay buffer by then."""
    unfinished: list[Rows]
    """Rows before it whose n-step returns end after it, and the newest row of each actor."""


class Retention:
    """Has the transitions deleted that the replay buffer has overwritten.

    Kept for ever are the interventions, each with the steps that its n-step return sums.

    Args:
        forget: deletes transitions; None keeps all.
        on_disk: the number of transitions that are stored, which may be fewer than are known here.
        history: newest transitions from which a new replay buffer comes to hold what the present one holds.
    """

    def __init__(self, forget: Forget | None, on_disk: Callable[[], int], history: int) -> None:
        self._forget = forget
        self._on_disk = on_disk
        self._history = history
        self._spacing = max(1, history // _MARKS)
        self._kept: list[Rows] = []
        self._marks: deque[_Mark] = deque()
        self._newest_mark = 0
        self._has_told = False

    def note(self, block: Block, stream: Stream) -> None:
        """Take account of the next block, which belongs to this stream."""
        rows = range(block.first_row, block.last_row)
        stream.next_sequence = block.first_sequence + len(rows)
        stream.rows.extend(rows[-stream.n_step.n :])
        while len(stream.rows) > stream.n_step.n:
            stream.rows.popleft()
        by_human = np.asarray(block.transitions.get(IS_INTERVENTION, np.zeros(len(rows)))) > 0
        if not (stream.owed or by_human.any()):
            return
        for row, is_human in zip(rows, by_human, strict=True):
            if is_human:
                stream.owed = stream.n_step.n
            if stream.owed:
                stream.owed -= 1
                self._keep(row)

    def mark(self, row: int, inserted: int, streams: Iterable[Stream]) -> None:
        """Delete what is overwritten, when it is time to.

        Args:
            row: transitions that were read from the journal.
            inserted: transitions that were ever inserted into the replay buffer.
            streams: all of them.
        """
        if self._forget is None or row < self._newest_mark + self._spacing:
            return
        self._newest_mark = row
        newest = [(at, at + 1) for one in streams for at in list(one.rows)[-max(1, one.n_step.waiting) :]]
        self._marks.append(_Mark(row, inserted, newest))
        begin = None
        while self._marks and self._marks[0].inserted <= inserted - self._history:
            begin = self._marks.popleft()
        if begin is None or begin.row > self._on_disk():
            return
        if not self._has_told:
            self._has_told = True
            logger.info(
                "the replay buffer has overwritten its oldest transitions: from now on such are deleted from disk too, "
                "all but interventions; %s keeps them",
                option("replay.keep_all"),
            )
        try:
            self._forget(begin.row, [*self._kept, *begin.unfinished])
        except JournalError as error:
            logger.warning("%s. Old transitions stay on disk for now; the training goes on", error)

    def _keep(self, row: int) -> None:
        if self._kept and self._kept[-1][1] == row:
            self._kept[-1] = self._kept[-1][0], row + 1
        else:
            self._kept.append((row, row + 1))
