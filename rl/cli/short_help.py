"""The help on one screen: the options of a command that people set, under headings."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from rl.agents.continuous.agent_configs import AGENT_CONFIGS, agent_name
from rl.agents.continuous.sac_config import SacConfig

_FLAT = "config"
"""The field whose own fields are options without a prefix."""
_INDENT = 28
_WIDEST = 110
_METAVARS = {int: "INT", float: "FLOAT", str: "TEXT", Path: "PATH"}


@dataclass(frozen=True)
class _Option:
    name: str
    annotation: Any
    value: Any
    text: str

    def flags(self) -> str:
        """Flags with which the option is given."""
        flag = f"--{self.name.replace('_', '-')}"
        if self.annotation is bool:
            return f"{flag}, {_negated(flag)}" if self.value is True else flag
        if isinstance(self.value, SacConfig):
            return f"{flag} NAME"
        return f"{flag} {_metavar(self.annotation)}"

    def about(self) -> str:
        """Return what the option does, and its value when it is not given."""
        if isinstance(self.value, SacConfig):
            return f"{', '.join(AGENT_CONFIGS)} [{agent_name(self.value)}]"
        value = " ".join(map(str, self.value)) if isinstance(self.value, tuple) else self.value
        is_shown = value not in (None, "") and self.annotation is not bool
        return f"{self.text} [{value}]" if is_shown else self.text


def short_help(program: str, about: str, headings: Mapping[str, tuple[str, ...]], base: Any, note: str = "") -> str:
    """The text of `--help`.

    Args:
        program: the command, with the program's name before it.
        about: what it does.
        headings: the fields to show, with dots, under headings.
        base: the dataclass of all options, or an object of it that has the values of those that are not given.
        note: a sentence for the end.
    """
    kind, holder = (base, None) if isinstance(base, type) else (type(base), base)
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    lines = [f"usage: {program} [OPTIONS]", *textwrap.wrap(f"{about[0].upper()}{about[1:]}.", width)]
    for heading, paths in headings.items():
        lines += ["", f"{heading}:"]
        for path in paths:
            option = _find(path, kind, holder)
            lines += _described(f"  {option.flags()}", option.about(), width)
    ending = f"{note} In brackets: the value without the option. Every option: --help-all"
    return "\n".join([*lines, "", *textwrap.wrap(ending.strip(), width)])


def _described(flags: str, about: str, width: int) -> list[str]:
    """A line of two columns; text that is too long goes on below."""
    column = max(_INDENT, len(flags) + 2)
    first, *rest = textwrap.wrap(about, max(width - _INDENT, 20), initial_indent=" " * (column - _INDENT))
    return [f"{flags:<{column}}{first.strip()}", *(" " * _INDENT + line for line in rest)]


def _find(path: str, kind: type, holder: Any | None) -> _Option:
    """The option of a field."""
    *groups, name = path.split(".")
    for group in groups:
        kind, holder = _member(kind, holder, group)
    if name not in {field.name for field in fields(kind)}:
        kind, holder = _member(kind, holder, _FLAT)
    annotation = get_type_hints(kind)[name]
    return _Option(path, annotation, _value(kind, holder, name), _first_sentence(_docs(kind)[name]))


def _member(kind: type, holder: Any | None, name: str) -> tuple[type, Any | None]:
    """The dataclass of a field whose fields are options too, and its value."""
    if name not in {field.name for field in fields(kind)}:
        kind, holder = _member(kind, holder, _FLAT)
    value = _value(kind, holder, name)
    found = type(value) if is_dataclass(value) else get_type_hints(kind)[name]
    return found, value


def _value(kind: type, holder: Any | None, name: str) -> Any:
    if holder is not None:
        return getattr(holder, name)
    field = next(field for field in fields(kind) if field.name == name)
    if field.default_factory is not MISSING:
        return field.default_factory()
    return None if field.default is MISSING else field.default


def _metavar(annotation: Any) -> str:
    choices = [choice for choice in get_args(annotation) if choice is not type(None)]
    if get_origin(annotation) is Literal:
        return "|".join(map(str, choices))
    if get_origin(annotation) is tuple:
        return f"{_metavar(choices[0])} …"
    return _METAVARS[annotation] if annotation in _METAVARS else _metavar(choices[0])


def _negated(flag: str) -> str:
    head, dot, last = flag.removeprefix("--").rpartition(".")
    return f"--{head}{dot}no-{last}"


def _first_sentence(text: str) -> str:
    return re.split(r"[.;]\s", " ".join(text.split()) + " ", maxsplit=1)[0].strip()


@cache
def _docs(kind: type) -> dict[str, str]:
    """The strings under the fields of a dataclass and its bases, which Python itself forgets: read from the source."""
    return dict(itertools.chain.from_iterable(_own_docs(base) for base in reversed(kind.__mro__) if is_dataclass(base)))


def _own_docs(kind: type) -> Iterator[tuple[str, str]]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    for field, text in itertools.pairwise(definition.body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            yield field.target.id, str(text.value.value)
