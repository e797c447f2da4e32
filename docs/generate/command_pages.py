"""Pages of the commands: what each program prints for `--help`, as tables."""

from __future__ import annotations

import contextlib
import html
import importlib
import io
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

_COLUMNS = "110"
"""Wide enough for a sentence, too narrow for two boxes beside each other."""
_FULL_HELP = "--help-all"
_FOLDER = "reference/commands"
_LEAD = "Every command with every option, as the programs' own `--help` says."


@dataclass
class Option:
    """One row of a box: how it is written, and what it is for."""

    written: str
    about: str = ""


@dataclass
class Box:
    """One box of a help text."""

    title: str
    lead: str = ""
    options: list[Option] = field(default_factory=list)


@dataclass(frozen=True)
class Command:
    """One command of a program; no words stand for the program itself."""

    program: str
    words: tuple[str, ...]
    help: str
    agents: tuple[tuple[str, str], ...] = ()
    """The help text for each agent that can be chosen, by its name; other agents have other options."""

    @property
    def line(self) -> str:
        """How it is typed."""
        return " ".join((self.program, *self.words))

    @property
    def file(self) -> str:
        """Its page in the folder of the commands."""
        return "_".join((self.program, *self.words)) + ".md"

    @property
    def about(self) -> str:
        """The text between usage and options; a mere list of commands has none."""
        return self.help.partition("\n\n")[2].partition("╭")[0].strip() if "╭" in self.help else ""


def pages(root: Path) -> dict[str, str]:
    """Markdown by path: a page for each command of the programs that `pyproject.toml` installs, and a list of all."""
    commands = all_commands(root)
    seen: dict[str, Command] = {}
    found = {f"{_FOLDER}/{command.file}": _page(command, seen) for command in commands}
    return {f"{_FOLDER}/index.md": _index(commands), **found}


@cache
def all_commands(root: Path) -> tuple[Command, ...]:
    """Every command of every program."""
    return tuple(command for program, main in programs(root).items() for command in commands_of(program, main))


def programs(root: Path) -> dict[str, str]:
    """`module:function` by name of the program."""
    scripts: dict[str, str] = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    return scripts


def commands_of(program: str, main: str, words: tuple[str, ...] = ()) -> Iterator[Command]:
    """A command and those below it, in the order in which its help lists them."""
    command = Command(program, words, help_text(program, main, words), agents_of(program, main, words))
    yield command
    for name in subcommands(command.help):
        yield from commands_of(program, main, (*words, *name.split()))


def help_text(program: str, main: str, words: tuple[str, ...] = ()) -> str:
    """What `program WORDS --help` prints; every option where a program has more than it shows at first."""
    text = _printed(program, main, (*words, "--help"))
    return _printed(program, main, (*words, _FULL_HELP)) if _FULL_HELP in text else text


def agents_of(program: str, main: str, words: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The help text of a command for each agent that its `--agent` takes."""
    shown = re.search(r"--agent (?:\{([\w,-]+)\}|NAME +([\w, -]+?) \[)", _printed(program, main, (*words, "--help")))
    names = re.split(r",\s*", shown[1] or shown[2]) if shown else []
    return tuple((name, help_text(program, main, (*words, "--agent", name))) for name in names)


def subcommands(text: str) -> list[str]:
    """Commands that a help text offers, in its usage (`{list,check}`) or as a list of names and what they do."""
    usage = " ".join(text.partition("\n\n")[0].split())
    choices = re.search(r"\s\{([a-z][\w,-]*)\}(?:\s\[|$)", usage)
    if choices:
        return choices[1].split(",")
    return re.findall(r"^  ([a-z][a-z -]*?)\s{2,}\S", text, re.MULTILINE) if usage.endswith(" COMMAND") else []


def boxes(text: str) -> list[Box]:
    """The boxes of a help text."""
    found: list[Box] = []
    for line in text.splitlines():
        if line.startswith("╭"):
            found.append(Box(line.strip("╭─╮ ")))
        elif line.startswith("│") and found:
            _add_line(found[-1], line.strip("│")[1:].rstrip())
    return found


def _add_line(box: Box, line: str) -> None:
    """A line at the margin begins an option, or is about the box; indented ones say what the last option is for."""
    if line.startswith("─"):
        box.lead = " ".join([box.lead, *(option.written for option in box.options)]).strip()
        box.options = []
        return
    last = box.options[-1] if box.options else None
    if last and (line.startswith(" ") or not line):
        last.about += f" {line.strip()}" if line else "<br><br>"
        return
    written, _, about = line.partition("  ")
    if last and last.written.endswith(",") and not last.about:
        last.written += f" {written}"
        last.about = about.strip()
    elif line:
        box.options.append(Option(written, about.strip()))


def _printed(program: str, main: str, words: tuple[str, ...]) -> str:
    module, _, attribute = main.partition(":")
    run = getattr(importlib.import_module(module), attribute)
    # The encoding decides whether boxes are drawn with lines, which are easier to read than dashes.
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with (
        mock.patch.object(sys, "argv", [program, *words]),
        mock.patch.dict(os.environ, COLUMNS=_COLUMNS, NO_COLOR="1"),
        contextlib.redirect_stdout(output),
        contextlib.suppress(SystemExit),
    ):
        run()
    output.seek(0)
    return output.read()


def _index(commands: tuple[Command, ...]) -> str:
    rows = [
        f"| [`{command.line}`]({command.file}) | {_cell(command.about.partition(chr(10) * 2)[0])} |"
        for command in commands
    ]
    return "\n".join(["# Commands", "", _LEAD, "", "| command | about |", "|---|---|", *rows]) + "\n"


def navigation(root: Path) -> list[Any]:
    """The pages in the form of `nav` in mkdocs.yml: a section for each program."""
    sections: dict[str, list[Any]] = {}
    for command in all_commands(root):
        sections.setdefault(command.program, []).append({command.line: f"{_FOLDER}/{command.file}"})
    return [f"{_FOLDER}/index.md", *({program: entries} for program, entries in sections.items())]


def _page(command: Command, seen: dict[str, Command]) -> str:
    shown = command.help.partition("\n\n")[0] if boxes(command.help) else command.help
    lines = [f"# {command.line}", "", command.about, "", "```text", shown.strip(), "```", ""]
    below = subcommands(command.help)
    if below:
        named = [f"[`{name}`]({Command(command.program, (*command.words, *name.split()), '').file})" for name in below]
        lines += ["Commands: " + ", ".join(named), ""]
    shared: dict[Command, list[str]] = {}
    for box in _boxes_of(command):
        first = seen.setdefault(repr((command.program, box)), command) if len(box.options) > 1 else command
        if first is command:
            lines += _table(box)
        else:
            shared.setdefault(first, []).append(box.title)
    for first, titles in shared.items():
        links = ", ".join(f"[{title}]({first.file}#{_anchor(title)})" for title in titles)
        lines += [f"## As of {first.line}", "", f"These are the same as of `{first.line}`: {links}.", ""]
    return "\n".join(lines) + "\n"


def _boxes_of(command: Command) -> list[Box]:
    """The boxes with options, and those that other agents have in their place, each with its agent in the title."""
    found = [box for box in boxes(command.help) if "commands" not in box.title]
    known = {repr(box) for box in found}
    for agent, text in command.agents:
        for box in boxes(text):
            if repr(box) not in known and box.title.startswith("agent"):
                found.append(Box(f"{box.title} of {agent}", box.lead, box.options))
    for box in found:
        box.options = [option for option in box.options if not option.written.startswith("-h,")]
    return [box for box in found if box.options]


def _table(box: Box) -> list[str]:
    lead = [_cell(box.lead), ""] if box.lead else []
    rows = [f"| {_code(option.written)} | {_cell(option.about)} |" for option in box.options]
    return [f"## {box.title} {{#{_anchor(box.title)}}}", "", *lead, "| option | about |", "|---|---|", *rows, ""]


def _anchor(title: str) -> str:
    return re.sub(r"[^\w]+", "-", title.lower())


def _code(text: str) -> str:
    return f"<code>{html.escape(text).replace('|', '&#124;')}</code>"


def _cell(text: str) -> str:
    return " ".join(text.split()).removesuffix("<br><br>").replace("|", "&#124;")
