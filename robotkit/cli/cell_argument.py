"""What a command calls a cell: a registered name, a workcell file, or the address of a robot server."""

from __future__ import annotations

import os
from pathlib import Path

from robotkit.cells import find_workcell
from robotkit.errors import InvalidConfiguration
from robotkit.factory import make_workcell
from robotkit.workcell import Workcell


def is_url(cell: str) -> bool:
    """True for the address of a robot server."""
    return cell.startswith(("http://", "https://"))


def require_cell(cell: str) -> None:
    """Raise unless there is such a file or name; a URL is only tried when it is opened.

    Raises:
        InvalidConfiguration: there is no such file.
        UnknownPlugin: no cell has that name.
    """
    if cell.endswith(".toml"):
        if not Path(cell).is_file():
            raise InvalidConfiguration(f"there is no workcell file {cell!r}")
    elif not is_url(cell):
        find_workcell(cell)


def open_cell(cell: str, token: str | None) -> Workcell:
    """Build the cell, not yet connected.

    Args:
        cell: a name, a path that ends in .toml, or a URL.
        token: a server's bearer token; None takes the variable ROBOTKIT_TOKEN.

    Raises:
        ConfigurationError: the cell cannot be built.
        RemoteError: the server cannot be used.
    """
    if is_url(cell):
        return make_workcell("remote", url=cell, token=token or os.environ.get("ROBOTKIT_TOKEN") or None)
    return make_workcell(cell)
