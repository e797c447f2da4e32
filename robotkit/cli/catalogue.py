"""The options of `robotkit list`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro


@dataclass(frozen=True)
class List:
    """Show the names of plugins and workcells; with names, the options of those that have them, with their units."""

    names: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[NAME ...]")] = ()
    """Names of plugins, such as "franka", or kinds, such as "cameras"; "all" shows the options of every plugin. Or
    cells, each a registered name, the path of a workcell file (.toml), or the URL of a robot server."""
    json: bool = False
    """Print a JSON list of objects with kind, name, about, error and options."""
    token: str | None = None
    """Token of the server; also read from the variable ROBOTKIT_TOKEN."""

    def run(self) -> int:
        """Print the names, or the tables."""
        from robotkit.cli.listing import print_entries, print_names

        return print_entries(self.names, self.token, self.json) if self.names else print_names(self.json)
