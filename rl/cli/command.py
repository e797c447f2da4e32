"""`Command`: one command of `python -m rl`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import tyro

PROGRAM = "python -m rl"

Options = TypeVar("Options")


@dataclass(frozen=True)
class BaseConfig(Generic[Options]):
    """The configuration that options start from, and the command line that is then parsed."""

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
    find_base: Callable[[list[str]], BaseConfig[Options]] = BaseConfig
    """Finds the base in a command line before it is parsed."""

    def parse(self, name: str, arguments: list[str]) -> Options:
        """The options that a command line asks for; `name` is that of the command."""
        return parse(self.options, name, self.find_base(arguments))


def parse(options: type[Options], name: str, base: BaseConfig[Options]) -> Options:
    """Parse the command line of the command `name`."""
    program = f"{PROGRAM} {name}"
    if base.options is None:
        return tyro.cli(options, prog=program, args=base.arguments)
    config = (tyro.conf.AvoidSubcommands,)  # the base says which agent; the options are those of its settings
    return tyro.cli(type(base.options), prog=program, args=base.arguments, default=base.options, config=config)
