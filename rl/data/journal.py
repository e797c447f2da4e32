"""TransitionJournal: the durable record of every acknowledged transition, and the file format of demonstrations.

The file is SQLite in WAL mode. It is in Python's standard library, it is transactional (a process killed at any moment
leaves either the whole block or nothing), readers do not block the writer, and any tool can open it. One row is one
block of consecutive transitions of one actor, encoded by `rl.data.codec`. Images stand apart, each of them once: see
`rl.data.frame_table`. Nothing changes what was appended; `forget` removes what nobody needs any more.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rl.data.codec import decode, encode
from rl.data.frame_table import TABLE, FrameTable, is_images
from rl.data.pruning import Pruning, Rows, merged
from rl.data.schema import Field
from rl.data.sqlite_file import connect, remedy
from rl.errors import JournalError, SchemaMismatch, SequenceGap
from rl.utils.tree import Batch, FlatBatch, leaves, len_of, nest

FORMAT_VERSION = 2
_BEGIN = "begin"

_TABLES = """
CREATE TABLE metadata (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (
    first_row INTEGER PRIMARY KEY,  -- transitions stored before this block
    count INTEGER NOT NULL,
    actor_id TEXT NOT NULL,
    first_sequence INTEGER NOT NULL,
    payload BLOB NOT NULL,
    info BLOB
);
CREATE INDEX blocks_of_actor ON blocks (actor_id, first_sequence);
"""
_PAGE = 64  # blocks fetched at once: long enough to be cheap, short enough to hold image blocks in memory


@dataclass(frozen=True)
class Block:
    """Consecutive transitions of one actor, as they were appended."""

    last_row: int
    """Number of transitions in the journal up to the end of this block; give it to `read` to go on after it."""
    actor_id: str
    first_sequence: int
    """The actor's own number of the first transition here."""
    transitions: Batch
    info: Any
    """Information that the actor sent along, or None."""

    @property
    def first_row(self) -> int:
        """Number of transitions in the journal before this block."""
        return self.last_row - len_of(dict(leaves(self.transitions)))

    @property
    def follows_gap(self) -> bool:
        """True when the actor's trajectory does not go on here from its block before."""
        return bool((self.info or {}).get("follows_gap"))


class TransitionJournal:
    """A file to which transitions are appended, exactly once per actor and sequence number.

    May be shared by threads. Closing it (or `with`) is polite, not necessary: what `append` returned for is on disk.

    Args:
        path: the file; made when it is missing.
        read_only: open an existing file for reading alone.
        metadata: facts that must hold for the whole file (env id, spaces); stored in a new file, checked in an old one.

    Raises:
        JournalError: no such file, not a journal, another format version, or other metadata than asked for.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, read_only: bool = False, metadata: Mapping[str, Any] | None = None
    ) -> None:
        self.path = Path(path)
        self.read_only = read_only
        self._lock = threading.RLock()
        self._known_fields: dict[str, str] = {}
        with self._translated():
            self._connection = connect(self.path, read_only)
            try:
                self._open(dict(metadata or {}))
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> TransitionJournal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Number of transitions that were ever appended."""
        row = self._query("SELECT first_row + count FROM blocks ORDER BY first_row DESC LIMIT 1")
        return int(row[0][0]) if row else 0

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of the whole file; `fields` names the transition's fields after the first append."""
        return {name: json.loads(value) for name, value in self._query("SELECT name, value FROM metadata")}

    @property
    def begin(self) -> int:
        """The row from which on every transition is here; before it only those that `forget` was told to keep."""
        row = self._query("SELECT value FROM metadata WHERE name = ?", _BEGIN)
        return int(row[0][0]) if row else 0

    def last_sequence(self, actor_id: str) -> int:
        """Sequence number of the newest stored transition of this actor; -1 when there is none."""
        query = "SELECT first_sequence + count FROM blocks WHERE actor_id = ? ORDER BY first_sequence DESC LIMIT 1"
        row = self._query(query, actor_id)
        return int(row[0][0]) - 1 if row else -1

    def append(self, actor_id: str, first_sequence: int, transitions: Mapping[str, Any], info: Any = None) -> int:
        """Store a batch durably; transitions that are already stored are dropped, so a resend changes nothing.

        Args:
            actor_id: name of one run of one actor; its sequence numbers count from 0.
            first_sequence: number of the first transition of the batch.
            transitions: nested dict of arrays with a leading axis of one length.
            info: any tree the codec takes, kept with the block.

        Returns:
            The sequence number of the newest stored transition of this actor.

        Raises:
            SequenceGap: transitions before `first_sequence` are missing; send again from `last_sequence() + 1`.
            SchemaMismatch: the fields differ from those already in this file.
            JournalError: the file cannot be written.
        """
        flat = {path: np.asarray(value) for path, value in leaves(transitions)}
        length = _checked_length(flat)
        with self._transaction():
            last = self.last_sequence(actor_id)
            if first_sequence > last + 1:
                raise SequenceGap(
                    f"actor {actor_id!r} offers {first_sequence}.., but {last + 1}.. is missing: resend from {last + 1}"
                )
            skip = last + 1 - first_sequence
            if skip >= length:
                return last
            rest = {path: array[skip:] for path, array in flat.items()}
            self._insert(len(self), actor_id, last + 1, rest, info)
        return last + length - skip

    def read(self, after_row: int = 0) -> Iterator[tuple[int, Batch]]:
        """All transitions after the first `after_row`, in the order of appending.

        Yields:
            The number of transitions up to the end of the batch, and the batch.
        """
        for block in self.blocks(after_row):
            yield block.last_row, block.transitions

    def blocks(self, after_row: int = 0) -> Iterator[Block]:
        """The blocks that `read` gives, with everything that was stored with them."""
        query = "SELECT * FROM blocks WHERE first_row + count > ? AND first_row >= ? ORDER BY first_row LIMIT ?"
        start = self._query("SELECT coalesce(max(first_row), 0) FROM blocks WHERE first_row <= ?", after_row)[0][0]
        while page := self._query(query, after_row, start, _PAGE):
            for row in page:
                yield self._to_block(row, max(0, after_row - row[0]))
            after_row = start = page[-1][0] + page[-1][1]

    def forget(self, before_row: int, keep: Iterable[Rows]) -> None:
        """Remove transitions, and the images that then nobody shows; their space in the file is used again.

        A process that is killed meanwhile leaves a journal that holds at least what is kept, and the next call removes
        the rest. Other threads may append meanwhile.

        Args:
            before_row: nothing from this row on is removed.
            keep: ranges of rows that stay; among them the newest of each actor, which tells where it goes on.

        Raises:
            JournalError: the row is not in the file yet, or the file cannot be written.
        """
        if not self.begin <= before_row <= len(self):
            raise JournalError(
                f"{self.path} holds rows {self.begin} to {len(self)}, and can forget those before one of them alone, "
                f"not before row {before_row}"
            )
        images = {tuple(name.split("/")) for name, field in self._fields.items() if _is_image_field(field)}
        pruning = Pruning(self._connection, self._transaction, images)
        with self._transaction():
            pruning.split(before_row)
            self._begin_at(before_row)
        pruning.remove_blocks(before_row, merged(keep))
        pruning.remove_images()

    def take_rest(self, source: TransitionJournal) -> None:
        """Append what another journal of the same run holds beyond this one, and begin where that begins."""
        with self._transaction():
            for block in source.blocks(after_row=len(self)):
                flat = dict(leaves(block.transitions))
                self._insert(block.first_row, block.actor_id, block.first_sequence, flat, block.info)
            self._begin_at(source.begin)

    def rows_before(self, row: int) -> list[Rows]:
        """The rows that are here before this one."""
        query = "SELECT first_row, min(first_row + count, ?) FROM blocks WHERE first_row < ?"
        return merged((start, stop) for start, stop in self._query(query, row, row))

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Read one and the same state of the file, while the process of its run appends and forgets."""
        with self._lock, self._translated():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def finish(self) -> None:
        """Close a file that is complete: from now on it is one file, also while it is read. It can be continued."""
        with self._lock, self._translated():
            self._connection.execute("PRAGMA journal_mode = DELETE")
        self.close()

    def _insert(self, first_row: int, actor_id: str, first_sequence: int, flat: FlatBatch, info: Any) -> None:
        self._check_fields(flat)
        payload = encode(nest({path: self._stored(array) for path, array in flat.items()}))
        row = (first_row, len_of(flat), actor_id, first_sequence, payload, None if info is None else encode(info))
        self._connection.execute("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)", row)

    def _open(self, wanted: dict[str, Any]) -> None:
        if not self.read_only:
            self._connection.execute("PRAGMA journal_mode = WAL")
            # Not only a killed process but also a power cut may not lose what was acknowledged.
            self._connection.execute("PRAGMA synchronous = FULL")
            with self._transaction():
                if not self._connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
                    self._create({"format_version": FORMAT_VERSION, **wanted})
        self._check_metadata({"format_version": FORMAT_VERSION, **wanted})

    def _create(self, facts: Mapping[str, Any]) -> None:
        for statement in (*_TABLES.split(";")[:-1], TABLE):
            self._connection.execute(statement)
        for name, value in facts.items():
            self._remember(name, value)

    def _remember(self, name: str, value: Any) -> None:
        self._connection.execute("INSERT INTO metadata VALUES (?, ?)", (name, json.dumps(value)))

    def _begin_at(self, row: int) -> None:
        self._connection.execute("INSERT OR REPLACE INTO metadata VALUES (?, ?)", (_BEGIN, json.dumps(row)))

    def _check_metadata(self, wanted: Mapping[str, Any]) -> None:
        stored = self.metadata
        for name, value in wanted.items():
            if stored.get(name) != json.loads(json.dumps(value)):
                raise JournalError(
                    f"{self.path} was written with {name} = {stored.get(name)!r}, but {value!r} is asked for; "
                    "use another file, or the settings that it was written with"
                )

    def _check_fields(self, flat: FlatBatch) -> None:
        """Check the fields: the first append decides which ones this file has; later ones must agree."""
        fields = {"/".join(path): str(Field(array.shape[1:], array.dtype)) for path, array in flat.items()}
        stored = self._fields
        if not stored:
            self._remember("fields", fields)
        elif stored != fields:
            different = sorted(name for name in stored.keys() | fields.keys() if stored.get(name) != fields.get(name))
            detail = "; ".join(f"{name}: stored {stored.get(name)}, offered {fields.get(name)}" for name in different)
            raise SchemaMismatch(f"{self.path} holds other fields. {detail}")

    def _stored(self, array: np.ndarray) -> np.ndarray:
        return FrameTable(self._connection).store(array) if is_images(array) else array

    def _to_block(self, row: tuple[Any, ...], skip: int) -> Block:
        first_row, count, actor_id, first_sequence, payload, info = row
        fields = self._fields
        transitions = {path: array[skip:] for path, array in leaves(decode(payload))}
        with self._lock, self._translated():
            for path, array in transitions.items():
                if _is_image_field(fields["/".join(path)]):
                    transitions[path] = FrameTable(self._connection).load(array)
        found = None if info is None else decode(info)
        return Block(first_row + count, actor_id, first_sequence + skip, nest(transitions), found)

    @property
    def _fields(self) -> dict[str, str]:
        """The fields that this file has; they never change once they are known."""
        if not self._known_fields:
            self._known_fields = self.metadata.get("fields", {})
        return self._known_fields

    def _query(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        with self._lock, self._translated():
            return self._connection.execute(query, arguments).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Open a transaction, all or nothing.

        It is IMMEDIATE, because a second writer must wait before it reads the last sequence number. One within another
        is part of that.
        """
        with self._lock, self._translated():
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:
                yield

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise JournalError(f"the journal {self.path} cannot be used: {error}{remedy(error)}") from error


def gap_info(follows_gap: bool) -> dict[str, bool] | None:
    """The info from which `Block.follows_gap` is read."""
    return {"follows_gap": True} if follows_gap else None


def copy_blocks(source: TransitionJournal, target: TransitionJournal) -> None:
    """Append to `target` what `source` holds beyond it; it must hold the beginning of `source`, or nothing.

    What `source` has forgotten is forgotten there, too.

    Raises:
        JournalError: `target` holds something else, or cannot be written.
    """
    with source.unchanged():
        begin, length = source.begin, len(target)
        if length >= begin:
            for block in source.blocks(after_row=length):
                target.append(block.actor_id, block.first_sequence, block.transitions, block.info)
        else:
            target.take_rest(source)
        if begin > target.begin or length < begin:
            target.forget(begin, source.rows_before(begin))


def _is_image_field(description: str) -> bool:
    """Whether `is_images` holds for arrays of a field, by its description: `uint8[128,128,3]`."""
    return description.startswith("uint8[") and description.count(",") >= 2


def _checked_length(flat: FlatBatch) -> int:
    lengths = {"/".join(path): array.shape[:1] for path, array in flat.items()}
    if len(set(lengths.values())) != 1 or () in lengths.values():
        raise SchemaMismatch(f"the fields of a batch must share the length of their first axis: {lengths}")
    return len_of(flat)
