"""`Command`: one command of `python -m rl`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import tyro

PROGRAM = "python -m rl"

Options = TypeVar("Options")


@dataclass(frozen=True)
class Start(Generic[Options]):
    """What options start from, and the command line that is then parsed."""

    arguments: list[str]
    options: Options | None = None
    """Values of the options that the command line leaves out; None: as the options' type says."""


@dataclass(frozen=True)
class Command(Generic[Options]):
    """A command and its options."""

    summary: str
    """What it does, for the list of commands."""
    options: type[Options]
    """A dataclass whose fields are the options."""
    run: Callable[[Options], None]
    start: Callable[[list[str]], Start[Options]] = Start
    """Looks into a command line before it is parsed."""

    def parse(self, name: str, arguments: list[str]) -> Options:
        """The options that a command line asks for; `name` is that of the command."""
        return parse(self.options, name, self.start(arguments))


def parse(options: type[Options], name: str, start: Start[Options]) -> Options:
    """Parse the command line of the command `name`."""
    program = f"{PROGRAM} {name}"
    if start.options is None:
        return tyro.cli(options, prog=program, args=start.arguments)
    return tyro.cli(options, prog=program, args=start.arguments, default=start.options)
