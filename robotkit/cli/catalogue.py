"""The options of `robotkit list`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro


@dataclass(frozen=True)
class List:
    """Show every plugin with its options and every named workcell; or one of them, with the unit of each option."""

    name: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="[NAME]")] = None
    """A plugin of any kind, or a cell: a registered name, the path of a workcell file (.toml), or the URL of a robot
    server. Left out: all."""
    json: bool = False
    """Print a JSON list of objects with kind, name, about, error and options."""
    token: str | None = None
    """Token of the server; also read from the variable ROBOTKIT_TOKEN."""

    def run(self) -> int:
        """Print the tables."""
        from robotkit.cli.listing import print_all, print_one

        return print_all(self.json) if self.name is None else print_one(self.name, self.token, self.json)
