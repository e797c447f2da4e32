"""Questions that a person answers at the terminal."""

from __future__ import annotations

import sys

from rich.console import Console

from robotkit.errors import InvalidConfiguration


def console_for_sentences() -> Console:
    """A console that prints text as it is, in as few lines as it has."""
    return Console(highlight=False, markup=False, soft_wrap=True)


def can_ask() -> bool:
    """True when somebody can answer."""
    return sys.stdin is not None and sys.stdin.isatty()


def require_answerable(is_given: bool) -> None:
    """Raise where nobody can be asked, before anything is opened.

    Args:
        is_given: True when the answer was given in advance (--yes).

    Raises:
        InvalidConfiguration: standard input is no terminal.
    """
    if not is_given and not can_ask():
        raise InvalidConfiguration(
            "this command asks before it acts, and nobody can answer here: give --yes, or use a terminal"
        )


def confirmed(question: str, is_given: bool) -> bool:
    """Ask, unless the answer was given in advance; only a clear yes is one."""
    if is_given:
        return True
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def answered(question: str, default: str | None) -> str:
    """Ask for a text; an empty answer is the default, or "" where there is none."""
    hint = f" [{default}]" if default else ""
    try:
        return input(f"{question}{hint}: ").strip() or default or ""
    except EOFError:
        return default or ""
