"""The table of the commands: where each is, under which heading it is listed, and what it was called before."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from rl.cli.command import PROGRAM, Command
from rl.cli.endings import EXIT_STATUSES
from rl.errors import ConfigError

GROUPS: Mapping[str, Mapping[str, str]] = {
    "Begin": {
        "demo": "rl.cli.demo:DEMO",
    },
    "Train": {
        "train": "rl.cli.training:TRAIN",
        "learner": "rl.cli.training:LEARNER",
        "actor": "rl.cli.training:ACTOR",
        "evaluator": "rl.cli.training:EVALUATOR",
        "hg-dagger": "rl.cli.hg_dagger:HG_DAGGER",
    },
    "Evaluate": {
        "evaluate": "rl.cli.evaluation:EVALUATE",
        "doctor": "rl.cli.doctor:DOCTOR",
        "replay": "rl.cli.evaluation:REPLAY",
    },
    "Record": {
        "record demos": "rl.cli.recording:RECORD_DEMOS",
        "record success": "rl.cli.recording:RECORD_SUCCESS",
    },
    "Learn from files": {
        "bc": "rl.cli.offline:BC",
        "classifier": "rl.cli.offline:CLASSIFIER",
        "classifier mine": "rl.cli.offline:MINE",
        "classifier retrain": "rl.cli.offline:RETRAIN",
    },
    "Data and weights of other projects": {
        "import serl": "rl.cli.data:IMPORT_SERL",
        "import lerobot": "rl.cli.data:IMPORT_LEROBOT",
        "export lerobot": "rl.cli.data:EXPORT_LEROBOT",
        "convert": "rl.cli.data:CONVERT",
    },
    "What there is": {
        "list": "rl.cli.catalogue:LIST",
    },
}
"""Where each command is; its module is imported when it is asked for."""

COMMANDS: Mapping[str, str] = {name: place for group in GROUPS.values() for name, place in group.items()}

RENAMED: Mapping[str, str] = {
    "watch": "evaluator",
    "eval": "evaluate",
    "record-demos": "record demos",
    "record-success": "record success",
    "train-bc": "bc",
    "train-classifier": "classifier",
    "import-demos": "import serl",
    "import-lerobot": "import lerobot",
    "export-lerobot": "export lerobot",
}
"""Old names of commands, which still work."""


_WIDTH = max(map(len, COMMANDS)) + 2

STOPPED_BY_SIGNALS = frozenset({
    "train", "learner", "actor", "evaluator", "hg-dagger", "bc", "classifier",
    "classifier retrain", "record success",
})  # fmt: skip
"""Commands that save and end by themselves when they are asked to; the others are interrupted."""


def with_new_name(arguments: Sequence[str]) -> list[str]:
    """A command line with the new name of its command."""
    given = list(arguments)
    if not given or given[0] not in RENAMED:
        return given
    new = RENAMED[given[0]]
    print(f"`{PROGRAM} {given[0]}` is now `{PROGRAM} {new}`", file=sys.stderr)  # noqa: T201
    return [*new.split(), *given[1:]]


def find_command(name: str) -> Command[Any]:
    """The command of that name in `COMMANDS`."""
    module, _, attribute = COMMANDS[name].partition(":")
    command: Command[Any] = getattr(import_module(module), attribute)
    return command


def split_command(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The name of the command, of one word or of two, that a command line begins with, and the rest of the line.

    Raises:
        ConfigError: it begins with none.
    """
    for words in (2, 1):
        name = " ".join(arguments[:words])
        if name in COMMANDS and len(arguments) >= words:
            return name, list(arguments[words:])
    if not arguments or arguments[0].startswith("-"):
        raise ConfigError(f"name a command first; `{PROGRAM} --help` lists them")
    asked = arguments[0]
    if members := _beginning_with(asked):
        known = [name.split()[1] for name in members]
        close = difflib.get_close_matches(arguments[1], known, n=1) if len(arguments) > 1 else []
        hint = f" Did you mean '{asked} {close[0]}'?" if close else ""
        raise ConfigError(f"`{PROGRAM} {asked}` needs one of these commands: {', '.join(known)}.{hint}")
    close = difflib.get_close_matches(asked, [*COMMANDS, *RENAMED], n=1)
    hint = f" Did you mean {RENAMED.get(close[0], close[0])!r}?" if close else ""
    raise ConfigError(f"there is no command {asked!r}.{hint} `{PROGRAM} --help` lists the commands")


def list_commands(arguments: Sequence[str]) -> str | None:
    """The list of the commands where a command line asks for it, or of those that begin with its only word."""
    if not arguments or arguments[-1] not in ("-h", "--help", "--help-all"):
        return None
    if len(arguments) == 1:
        ending = (
            f"`{PROGRAM} COMMAND --help` shows the options that people set, --help-all every one.",
            f"Exit status: {EXIT_STATUSES}.",
        )
        return "\n".join([f"usage: {PROGRAM} COMMAND", *_listed(COMMANDS), "", *ending])
    members = _beginning_with(arguments[0]) if len(arguments) == 2 and arguments[0] not in COMMANDS else []
    return "\n".join([f"usage: {PROGRAM} {arguments[0]} COMMAND", *_listed(members)]) if members else None


def _beginning_with(word: str) -> list[str]:
    """The commands of two words of which this is the first."""
    return [name for name in COMMANDS if name.startswith(f"{word} ")]


def _listed(names: Sequence[str] | Mapping[str, str]) -> list[str]:
    """The lines of a list of commands under their headings."""
    lines = []
    for heading, group in GROUPS.items():
        if members := [name for name in group if name in names]:
            lines += ["", f"{heading}:", *(f"  {name:<{_WIDTH}}{find_command(name).summary}" for name in members)]
    return lines
