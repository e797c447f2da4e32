"""`said`: any object as a text, without an error; a text that belongs to a stop must never prevent the stop."""

from __future__ import annotations

from robotkit.errors import RobotkitError

_LONGEST = 1000


def said(value: object) -> str:
    """`value` as text of a readable length that any log and any wire takes; never raises."""
    try:
        text = str(value) or repr(value)
        text = text[:_LONGEST].encode("utf-8", "replace").decode()
    except BaseException:  # a plugin's error may raise anything when it is asked for its text
        text = f"{type(value).__name__}, which does not say more"
    return text


def said_of(error: BaseException) -> str:
    """The text of an error, after its type when that is none of robotkit's; never raises."""
    text, kind = said(error), type(error).__name__
    return text if isinstance(error, RobotkitError) or text.startswith(kind) else f"{kind}: {text}"
