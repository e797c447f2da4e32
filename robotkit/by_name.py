"""`ByName`: a dictionary that answers an unknown name with the names that there are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import NoReturn, TypeVar

from robotkit.errors import UnknownName

V = TypeVar("V")


class ByName(dict[str, V]):
    """The things that a cell or a state has under names.

    Args:
        what: one of them, in words: "camera".
        items: the values by their names.
    """

    def __init__(self, what: str, items: Mapping[str, V]) -> None:
        super().__init__(items)
        self._what = what

    def __missing__(self, name: str) -> NoReturn:
        raise UnknownName(no_such(self._what, name, self))


def no_such(what: str, name: object, names: Iterable[str]) -> str:
    """Return the sentence that there is no such thing, with the nearest name and all that there are."""
    known = list(names)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"there is no {what} {name!r}.{hint} There are: {', '.join(known) or 'none'}"
