"""A person at a terminal who answers questions in a chosen way."""

from __future__ import annotations

import builtins
import io
from collections.abc import Callable

import pytest


class Terminal(io.StringIO):
    """Standard input that is a terminal."""

    def isatty(self) -> bool:
        return True


class Person:
    """Answers every question, and remembers them; `meanwhile` happens while they think."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: str, meanwhile: Callable[[], object] = int) -> None:
        self.questions: list[str] = []
        self._answer, self._meanwhile = answer, meanwhile
        monkeypatch.setattr("sys.stdin", Terminal())
        monkeypatch.setattr(builtins, "input", self._think)

    def _think(self, question: str) -> str:
        self.questions.append(question)
        self._meanwhile()
        return self._answer
