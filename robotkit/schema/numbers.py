"""Strict validation of numbers at the border, for single fields and for arrays."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np
from pydantic_core import CoreSchema, core_schema

_NUMBER_KINDS = "fiu"
"""numpy's codes of floating point, signed and unsigned integers."""
_SHOWN_CHARACTERS = 200
SEQUENCES = (list, tuple)
"""Types that an array may be made of; a tuple, since `list | tuple` is made anew each time that it is asked."""


def strict_numbers(schema: CoreSchema) -> CoreSchema:
    """A pydantic schema whose numbers and booleans take no other type, everywhere inside.

    numpy's scalars count as the numbers that they are. Pydantic's own strict mode would also refuse lists for tuples,
    which is what a TOML file holds.
    """
    found: CoreSchema = _walk(schema)
    return found


def require_numbers(value: Any, depth: int) -> None:
    """Refuse anything but numbers in a nested sequence with `depth` levels, or in an array.

    Raises:
        ValueError: a boolean, a text, an integer beyond the range of a float, another nesting.
    """
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in _NUMBER_KINDS:
            raise ValueError(f"expected numbers, got an array of {value.dtype}")
    elif depth == 0:
        if not _is_number(value):
            raise ValueError(f"expected a number, got {shown(value)}")
    elif isinstance(value, SEQUENCES):
        for item in value:
            if type(item) is not float or depth != 1:
                require_numbers(item, depth - 1)
    else:
        raise ValueError(f"expected a list of numbers, got {shown(value)}")


def shown(value: Any) -> str:
    """`value` as text for an error message, of a readable length; also for integers too long to print."""
    try:
        text = reprlib.repr(value)
    except ValueError:
        return "an integer of thousands of digits"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]} ..."


def _is_number(value: Any) -> bool:
    if isinstance(value, np.generic):
        return value.dtype.kind in _NUMBER_KINDS
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) <= _LARGEST
    return isinstance(value, float)


_LARGEST = int(np.finfo(np.float64).max)


def _walk(node: Any) -> Any:
    if isinstance(node, list):
        return [_walk(item) for item in node]
    if isinstance(node, tuple):
        return tuple(_walk(item) for item in node)
    if not isinstance(node, dict):
        return node
    kind = node.get("type")
    if kind in ("float", "int", "bool") and "strict" not in node:
        strict = {**node, "strict": True}
        return strict if kind == "bool" else core_schema.no_info_before_validator_function(_plain, strict)
    return {key: value if key in _OPAQUE else _walk(value) for key, value in node.items()}


_OPAQUE = frozenset({"metadata", "serialization", "default", "cls", "config"})


def _plain(value: Any) -> Any:
    """Read numpy's numbers as Python's; no boolean, and no integer that a float cannot hold."""
    if type(value) is float:  # almost every number of a state, of which each step has fourteen single ones
        return value
    if isinstance(value, np.bool_):
        raise ValueError(f"expected a number, got {value!r}")
    if isinstance(value, np.generic) and value.dtype.kind in _NUMBER_KINDS:
        return value.item()
    if type(value) is int and abs(value) > _LARGEST:
        raise ValueError(f"the integer is beyond the range of a number: {shown(value)}")
    return value
