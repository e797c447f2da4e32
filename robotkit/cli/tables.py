"""Tables for the terminal: a name, a path or a command that is wider than its column is broken, never cut off."""

from __future__ import annotations

from rich.table import Column, Table
from rich.text import Text


def make_table(*heads: str, title: str | Text | None = None) -> Table:
    """An empty table with a column for each head."""
    return Table(*(Column(head, overflow="fold") for head in heads), title=title, title_justify="left")
