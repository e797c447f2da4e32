"""`Command`: one command of `robotkit-train`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from rl.utils.subprocesses import Stop

PROGRAM = "robotkit-train"

Options = TypeVar("Options")


@dataclass(frozen=True)
class BaseConfig(Generic[Options]):
    """The configuration that options start from, and the command line that is then parsed."""

    arguments: list[str]
    options: Options | None = None
    """Values of the options that the command line leaves out; None: as the options' type says."""
    note: str = ""
    """Text that the help says about it."""


@dataclass(frozen=True)
class Command(Generic[Options]):
    """A command and its options."""

    summary: str
    """Summary of what the command does, for the list of commands."""
    options: type[Options]
    """A dataclass whose fields are the options."""
    run: Callable[[Options, Stop], None]
    """Function that runs the command, until it is done or somebody asks for the end."""
    find_base: Callable[[list[str]], BaseConfig[Options]] = BaseConfig
    """Finds the base in a command line before it is parsed."""
    headings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Options that `--help` shows: fields of the options, with dots, under headings. Without any it shows every
    option."""

    def parse(self, name: str, arguments: list[str]) -> Options:
        """The options that a command line asks for; `name` is that of the command.

        Raises:
            ConfigError: an option or a value of it is wrong, or a required one is missing.
        """
        if self.headings and not {"-h", "--help"}.isdisjoint(arguments):
            from rl.cli.short_help import short_help

            base = self.find_base([word for word in arguments if word not in ("-h", "--help")])
            print(  # noqa: T201
                short_help(f"{PROGRAM} {name}", self.summary, self.headings, base.options or self.options, base.note)
            )
            raise SystemExit(0)
        shown = ["--help" if word == "--help-all" else word for word in arguments]
        return parse(self.options, name, self.find_base(shown))


def parse(options: type[Options], name: str, base: BaseConfig[Options]) -> Options:
    """Parse the command line of the command `name`.

    Raises:
        ConfigError: an option or a value of it is wrong, or a required one is missing.
    """
    import tyro

    from rl.cli.option_errors import refusals_as_sentences

    program = f"{PROGRAM} {name}"
    with refusals_as_sentences(program):
        if base.options is None:
            return tyro.cli(options, prog=program, args=base.arguments)
        config = (tyro.conf.AvoidSubcommands,)  # the base says which agent; the options are those of its settings
        kind = type(base.options)
        about = f"{inspect.cleandoc(kind.__doc__ or '').splitlines()[0]} {base.note}"
        return tyro.cli(kind, prog=program, description=about, args=base.arguments, default=base.options, config=config)
