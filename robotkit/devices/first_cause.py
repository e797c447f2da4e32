"""`raise_first`: of several failures the first is raised, or what ends the program, and the others are its notes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from robotkit.devices.words import said_of


def raise_first(failures: Sequence[tuple[str, BaseException]]) -> None:
    """Raise the first of these errors, or the first that ends the program, such as Ctrl+C; the others are its notes.

    Args:
        failures: each with the name of the device that did not disconnect; "" where none did anything wrong.
    """
    errors = [error for _, error in failures]
    raised = next((error for error in errors if not isinstance(error, Exception)), errors[0] if errors else None)
    if raised is None:
        return
    for name, error in failures:
        if error is not raised:
            raised.add_note(f"{name} did not disconnect: {said_of(error)}" if name else said_of(error))
    raise raised


@contextmanager
def noted_on(cause: BaseException | None) -> Iterator[None]:
    """Let what fails here be a note of `cause`, so that this is what is raised; raise it where there is no cause."""
    try:
        yield
    except Exception as error:
        if cause is None:
            raise
        for note in (said_of(error), *getattr(error, "__notes__", ())):
            cause.add_note(note)


@contextmanager
def undone_unless_done(undo: Callable[[], object]) -> Iterator[None]:
    """Call `undo` when this block fails; what it raises is a note of what the block has raised."""
    try:
        yield
    except BaseException as error:
        with noted_on(error):
            undo()
        raise
