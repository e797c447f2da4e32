"""`check_field_types`: refuses settings whose values are of another type than their fields."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any, get_type_hints

import numpy as np
from pydantic import TypeAdapter, ValidationError

from rl.errors import ConfigError


def check_field_types(settings: Any) -> None:
    """Check each field of a dataclass; a list in place of a tuple becomes one, and numpy's number a plain one.

    Raises:
        ConfigError: a value is of another type; the message names the field.
    """
    for name, adapter in _adapters(type(settings)).items():  # type: ignore[arg-type]
        given = getattr(settings, name)
        value = tuple(given) if isinstance(given, list) else given.item() if isinstance(given, np.generic) else given
        if value is not given:
            object.__setattr__(settings, name, value)  # these dataclasses are frozen
        try:
            adapter.validate_python(value, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = "".join(f"[{index}]" for index in first["loc"] if isinstance(index, int))
            said = first["msg"].removeprefix("Input should be ")
            raise ConfigError(f"{name}{place} must be {said}, not {first['input']!r}") from None


@cache
def _adapters(kind: type) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(kind)
    return {field.name: TypeAdapter(hints[field.name]) for field in fields(kind)}
