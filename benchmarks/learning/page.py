"""The place of a report on a page of the documentation, between two comments."""

from __future__ import annotations

from pathlib import Path

from rl.errors import DataError


def put_on_page(page: Path, table: str, report: str) -> None:
    """Put a report where the page has its place.

    Raises:
        DataError: the page has none.
    """
    begin, end = markers(table)
    text = page.read_text(encoding="utf-8")
    before, opening, rest = text.partition(begin)
    _, closing, after = rest.partition(end)
    if not opening or not closing:
        raise DataError(
            f"{page} has no place for the table {table!r}: write the lines {begin} and {end} where it is to be"
        )
    page.write_text(f"{before}{begin}\n\n{report}\n{end}{after}", encoding="utf-8")


def markers(table: str) -> tuple[str, str]:
    """The comments before and after the report of a table."""
    return f"<!-- learning table {table} -->", f"<!-- end of table {table} -->"


def picture_on_page(table: str) -> str:
    """The target of the link to a table's picture, from the page."""
    return f"images/learning_{table}.png"
