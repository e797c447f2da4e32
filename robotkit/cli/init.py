"""The options of `robotkit init`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

TemplateName = Literal["franka-robotiq-realsense", "franka-hand", "simulation", "plugin"]


@dataclass(frozen=True)
class Init:
    """Write a workcell file from a template, checked as every workcell file is. Nothing is connected.

    With --template it asks nothing, and leaves what no flag names as the template has it; without, it asks.

    Exit status: 0 written, 2 the request was wrong or the file is there already; then nothing was written.
    """

    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="[FILE]")] = Path("my_lab.toml")
    """The file to write; its name ends in .toml."""
    template: TemplateName | None = None
    """Equipment of the cell; "plugin" is an arm that is installed as a plugin."""
    name: str | None = None
    """Name of the cell. Left out: that of the file."""
    host: str | None = None
    """Address of a Franka arm's control box, as in Desk."""
    robot: str | None = None
    """Name, with --template plugin, under which the plugin registers its arm (`robotkit list`)."""
    set: tuple[str, ...] = ()
    """Any other value as KEY=VALUE, with the dotted keys that `robotkit list NAME` shows: robot.model=panda."""
    force: bool = False
    """Replace a file that is there."""

    def run(self) -> int:
        """Fill in the template, check the result, write it."""
        from robotkit.cli.cell_writer import write_cell

        return write_cell(self.file, self.template, self.name, self.host, self.robot, self.set, self.force)
