"""The tables of `robotkit`: however narrow the terminal is, no name, path or command is cut off."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from robotkit.cli.finding import failed, findings_table
from robotkit.cli.listing import Entry, entry_table
from robotkit.cli.option_rows import Option
from robotkit.cli.tables import make_table

LONG = "".join(chr(ord("A") + number % 26) for number in range(70))


def _plain() -> Table:
    table = make_table("path", "size", title="pictures")
    table.add_row(Text(LONG), "128x128")
    return table


@pytest.mark.parametrize(
    "table",
    [
        _plain(),
        findings_table([failed("extra", "not installed", LONG)]),
        entry_table(Entry("robot", "arm", "An arm.", None, (Option(LONG, "float", 0.2, "", ""),))),
    ],
    ids=["plain", "findings", "options"],
)
@pytest.mark.parametrize("width", [40, 80])
def test_a_word_that_is_wider_than_its_column_is_broken_and_complete(table: Table, width: int):
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    shown = console.file.getvalue()
    assert "…" not in shown
    assert "".join(letter for letter in shown if letter in LONG and letter.isupper()).count(LONG) == 1
