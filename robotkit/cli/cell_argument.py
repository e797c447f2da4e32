"""`CellArgument`: the argument `CELL` of a command, which checks and builds the cell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from robotkit.cells import find_workcell, is_file, is_url
from robotkit.errors import InvalidConfiguration
from robotkit.factory import make_workcell
from robotkit.workcell import Workcell

CellName = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="CELL")]


@dataclass(frozen=True)
class CellArgument:
    """The argument that says which cell a command works on."""

    cell: CellName
    """A registered name (`robotkit list`), the path of a workcell file (.toml), or the URL of a robot server."""
    token: str | None = None
    """Token of the server; also read from the variable ROBOTKIT_TOKEN."""


def require_cell(cell: str) -> None:
    """Raise unless there is such a file or name; a URL is only tried when it is opened.

    Raises:
        InvalidConfiguration: there is no such file.
        UnknownPlugin: no cell has that name.
    """
    if is_file(cell):
        if not Path(cell).is_file():
            raise InvalidConfiguration(f"there is no workcell file {cell!r}; `robotkit init FILE` writes one")
    elif not is_url(cell):
        find_workcell(cell)


def open_cell(cell: str, token: str | None, **overrides: Any) -> Workcell:
    """Build the cell, not yet connected.

    Args:
        cell: what `make_workcell` takes.
        token: a server's bearer token; None takes the variable ROBOTKIT_TOKEN.
        **overrides: as `make_workcell` takes them.

    Raises:
        ConfigurationError: the cell cannot be built.
        RemoteError: the server cannot be used.
    """
    require_cell(cell)
    return make_workcell(cell, **(overrides if token is None else {**overrides, "token": token}))
