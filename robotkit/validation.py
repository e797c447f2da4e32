"""Texts for the faults of a configuration: the place, the given value, and what is allowed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from robotkit.schema.numbers import shown

Place = Sequence[str | int]


def describe(error: ValidationError, model: type[BaseModel], toml_text: str = "") -> str:
    """One clause for each thing that is wrong, with its line when the text of the file is given."""
    clauses = []
    for item in error.errors():
        place = item["loc"]
        line = line_of(place, toml_text)
        where = ".".join(map(str, place)) or "value"
        where += f" (line {line})" if line else ""
        if item["type"] == "extra_forbidden":
            clauses.append(f"{where}: there is no such key. {_allowed(str(place[-1]), _model_at(model, place[:-1]))}")
        elif item["type"] == "missing":
            clauses.append(f"{where}: is required")
        elif item["type"] == "value_error":  # a sentence of ours, which tells what was given
            clauses.append(f"{where}: {item['ctx']['error']}")
        else:
            clauses.append(f"{where}: {item['msg']} (got {shown(item['input'])})")
    return "; ".join(clauses)


def line_of(place: Place, toml_text: str) -> int | None:
    """Number of the line in a TOML file that sets the value at `place`, or that opens the nearest table around it."""
    found, table = None, ""
    dotted = ".".join(map(str, place))
    for number, line in enumerate(toml_text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line)
        key = re.match(r"\s*([\w.\"'-]+)\s*=", line)
        if header:
            table = header[1] + "."
            if (dotted + ".").startswith(table):
                found = number
        elif key and (dotted + ".").startswith(f"{table}{key[1]}."):
            return number
    return found


def _model_at(model: type[BaseModel], place: Place) -> type[BaseModel] | None:
    """The model of the nested value at `place`, walking through optional fields and dictionaries of models."""
    for part in place:
        field = model.model_fields.get(str(part))
        if field is not None:
            inner = next(_models_in(field.annotation), None)
            if inner is None:
                return None
            model = inner
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _allowed(given: str, model: type[BaseModel] | None) -> str:
    if model is None:
        return "Remove it"
    near = difflib.get_close_matches(given, model.model_fields, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return f"{hint}Allowed: {', '.join(model.model_fields) or 'none'}"
