"""Pruning: takes transitions out of a journal, and then the images that no transition shows any more."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager

import numpy as np

from rl.data.codec import decode, encode
from rl.utils.tree import Path, leaves, nest

Rows = tuple[int, int]
"""The first of some consecutive rows of a journal, and the row after the last."""

_BLOCKS = 500  # removed at once: a writer waits as long
_FRAMES = 500


def merged(rows: Iterable[Rows]) -> list[Rows]:
    """Return the same rows in ascending order, as few ranges."""
    result: list[Rows] = []
    for start, stop in sorted(rows):
        if result and start <= result[-1][1]:
            result[-1] = result[-1][0], max(result[-1][1], stop)
        elif start < stop:
            result.append((start, stop))
    return result


class Pruning:
    """Removes rows of a journal in short transactions, so that its writer never waits for long.

    Every state in between is a journal that holds at least what is kept, with all its images; the next call removes
    what an interrupted one has left.

    Args:
        connection: of the journal.
        transaction: opens a transaction of the journal, which excludes every other writer.
        image_fields: paths of the transition's fields that hold numbers of images.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        transaction: Callable[[], AbstractContextManager[None]],
        image_fields: Collection[Path],
    ) -> None:
        self._connection = connection
        self._transaction = transaction
        self._image_fields = image_fields

    def split(self, row: int) -> None:
        """Let no block hold transitions on both sides of a row; the caller holds the transaction."""
        query = "SELECT first_row, first_row + count FROM blocks WHERE first_row < ? AND first_row + count > ?"
        for first, stop in self._connection.execute(query, (row, row)).fetchall():
            self._rewrite(first, [(first, row), (row, stop)])

    def remove_blocks(self, before_row: int, keep: Sequence[Rows]) -> None:
        """Remove the transitions before a row that no block is split by, except those in `keep`: merged ranges."""
        starts = [start for start, _ in keep]
        with self._transaction():
            query = "SELECT first_row, first_row + count FROM blocks WHERE first_row < ?"
            blocks = self._connection.execute(query, (before_row,)).fetchall()
        shrinking = []
        for first, stop in blocks:
            near = keep[max(0, bisect_right(starts, first) - 1) : bisect_right(starts, stop)]
            pieces = [(max(first, a), min(stop, b)) for a, b in near if max(first, a) < min(stop, b)]
            if pieces != [(first, stop)]:
                shrinking.append((first, pieces))
        for at in range(0, len(shrinking), _BLOCKS):
            with self._transaction():
                for first, pieces in shrinking[at : at + _BLOCKS]:
                    self._rewrite(first, pieces)

    def remove_images(self) -> None:
        """Remove the images that no block shows."""
        if not self._image_fields:
            return
        with self._transaction():
            highest = self._connection.execute("SELECT coalesce(max(number), 0) FROM frames").fetchone()[0]
            numbers = [row[0] for row in self._connection.execute("SELECT number FROM frames")]
        is_shown = np.zeros(highest + 1, dtype=bool)
        row = -1
        while (reached := self._mark(is_shown, row)) > row:
            row = reached
        unseen = [number for number in numbers if not is_shown[number]]
        for at in range(0, len(unseen), _FRAMES):
            with self._transaction():
                # A block that came meanwhile may show an image that nobody did before.
                while (reached := self._mark(is_shown, row)) > row:
                    row = reached
                gone = [(number,) for number in unseen[at : at + _FRAMES] if not is_shown[number]]
                self._connection.executemany("DELETE FROM frames WHERE number = ?", gone)

    def _rewrite(self, first_row: int, pieces: Sequence[Rows]) -> None:
        """Put the given rows of a block in its place."""
        query = "SELECT actor_id, first_sequence, payload, info FROM blocks WHERE first_row = ?"
        if pieces:
            actor_id, first_sequence, payload, info = self._connection.execute(query, (first_row,)).fetchone()
            flat = dict(leaves(decode(payload)))
        self._connection.execute("DELETE FROM blocks WHERE first_row = ?", (first_row,))
        for start, stop in pieces:
            part = {path: array[start - first_row : stop - first_row] for path, array in flat.items()}
            sequence = first_sequence + start - first_row
            facts = info if start == first_row else None  # a gap is before the block's first transition
            row = (start, stop - start, actor_id, sequence, encode(nest(part)), facts)
            self._connection.execute("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)", row)

    def _mark(self, is_shown: np.ndarray, after: int) -> int:
        """Mark the images of the next blocks after a first row; return the first row of the last one."""
        with self._transaction():
            query = "SELECT first_row, payload FROM blocks WHERE first_row > ? ORDER BY first_row LIMIT ?"
            blocks = self._connection.execute(query, (after, _BLOCKS)).fetchall()
        for _, payload in blocks:
            for path, array in leaves(decode(payload)):
                if path in self._image_fields:
                    is_shown[array[array < len(is_shown)]] = True
        return blocks[-1][0] if blocks else after
