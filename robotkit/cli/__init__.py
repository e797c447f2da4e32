"""The command line: `robotkit list`, `doctor`, `state` and `stop`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from robotkit.cli.catalogue import List
from robotkit.cli.doctor import Doctor
from robotkit.cli.remote import State, Stop
from robotkit.errors import RobotkitError

Command = (
    Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
    | Annotated[State, tyro.conf.subcommand("state")]
    | Annotated[Stop, tyro.conf.subcommand("stop")]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code; an error of our own tree is one sentence on stderr and code 1."""
    command: List | Doctor | State | Stop = tyro.cli(
        Command,
        prog="robotkit",
        description="A ROS-free robot hardware layer.",
        args=arguments,
    )
    try:
        return command.run()
    except RobotkitError as error:
        print(f"robotkit: {error.message}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
