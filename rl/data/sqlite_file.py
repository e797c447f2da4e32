"""Connections to the SQLite files that hold transitions."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from rl.errors import JournalError

IN_MEMORY = Path(":memory:")
"""Path of a journal without a file: it is gone when it is closed, and `copy_blocks` can keep it."""
_WRITERS = "give one that `robotkit-train record`, `robotkit-train import` or a training wrote"


def connect(path: Path, read_only: bool) -> sqlite3.Connection:
    """Open a file in autocommit mode, for every thread.

    Raises:
        JournalError: there is no such file to read, or no directory to write it to.
    """
    options = ""
    if path == IN_MEMORY:
        return sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    if read_only:
        if not path.is_file():
            found = "is a directory" if path.is_dir() else "does not exist"
            raise JournalError(f"{path} {found}, and a file of transitions is asked for: {_WRITERS}")
        options = f"?{_reading_mode(path)}"
    elif not path.parent.is_dir():
        raise JournalError(f"the directory {path.parent} does not exist; make it first")
    uri = path.absolute().as_uri() + options
    connection = sqlite3.connect(uri, uri=True, timeout=10.0, isolation_level=None, check_same_thread=False)
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    return connection


def _reading_mode(path: Path) -> str:
    """How SQLite opens a file for reading. It reads a WAL file through side files, which stand beside it meanwhile."""
    if os.access(path.parent, os.W_OK):
        # What may write nothing cannot remove the side files either, and would leave them behind.
        return "mode=rw" if os.access(path, os.W_OK) else "mode=ro"
    # Where the side files cannot be made the file cannot change either.
    return "mode=ro" if path.with_name(path.name + "-wal").exists() else "mode=ro&immutable=1"


def remedy(error: sqlite3.Error) -> str:
    """Return what to do about a file that another program wrote; nothing for any other error."""
    is_foreign = error.sqlite_errorcode == sqlite3.SQLITE_NOTADB or "no such table" in str(error)
    return f". It is no file of transitions: {_WRITERS}" if is_foreign else ""
