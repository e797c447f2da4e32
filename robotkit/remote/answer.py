"""`Answer`: the answer of a server to a web request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from robotkit.schema.wire import CLOCK_HEADER

Header = tuple[bytes, bytes]


@dataclass(frozen=True)
class Answer:
    """The answer of a server; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_signed(self) -> bool:
        """True of an answer that only a robot server gives; older ones do not say which start of theirs it is of."""
        return bool(self.headers.get(CLOCK_HEADER.lower()))


def answer_of(status: int, headers: Iterable[Header], content: bytes) -> Answer:
    """The answer with these raw headers."""
    names = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
    return Answer(status, names, content)
