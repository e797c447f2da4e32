"""`said`: whatever it was, as words; what is said of a stop must not come between the stop and the arm."""

from __future__ import annotations

_LONGEST = 1000


def said(value: object) -> str:
    """`value` as text of a readable length that any log and any wire takes; never raises."""
    try:
        text = str(value) or repr(value)
        text = text[:_LONGEST].encode("utf-8", "replace").decode()
    except BaseException:  # a plugin's error may raise anything when it is asked for its text
        text = f"{type(value).__name__}, which does not say more"
    return text
