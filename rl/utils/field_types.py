"""`check_field_types`: refuses settings whose values are of another type than their fields.

Defaults are checked whenever a configuration is imported, also for a `--help`: nothing slow is imported here.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from rl.errors import ConfigError

_WORDS = {float: "a number", int: "a whole number", bool: "True or False", str: "a string", NoneType: "None"}


def check_field_types(settings: Any) -> None:
    """Check each field of a dataclass; a list in place of a tuple becomes one, and numpy's number a plain one.

    Raises:
        ConfigError: a value is of another type; the message names the field.
    """
    kind: Any = type(settings)
    for name, hint in _hints(kind).items():
        given = getattr(settings, name)
        value: Any = tuple(given) if isinstance(given, list) else given
        if hasattr(value, "dtype") and not getattr(value, "shape", ()):
            value = value.item()
        if value is not given:
            object.__setattr__(settings, name, value)  # these dataclasses are frozen
        if not _fits(value, hint):
            raise ConfigError(f"{name} must be {_words(hint)}, not {given!r}")


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _fits(value: Any, hint: Any) -> bool:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Literal:
        return value in parts
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, parts[0]) for item in value)
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, hint)


def _words(hint: Any) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(_words(part) for part in parts)
    if origin is Literal:
        return " or ".join(repr(part) for part in parts)
    if origin is tuple:
        return f"a tuple, each of it {_words(parts[0])}"
    return _WORDS.get(hint) or f"{hint.__name__}(…)"
