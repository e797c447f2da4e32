"""Laws of what is said: always a text, of a readable length, whatever it is said of."""

from __future__ import annotations

import pytest

from robotkit.devices.words import said


class Mute(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)


@pytest.mark.parametrize(("value", "text"), [
    ("a cause", "a cause"), (ValueError("too large"), "too large"), (ValueError(), "ValueError()"), (None, "None"),
    (5, "5"), (b"x", "b'x'"), ("\ud800", "?"), ("x" * 9999, "x" * 1000), ("", "''"),
    (Mute(), "Mute, which does not say more"),
])  # fmt: skip
def test_whatever_it_is_it_is_said_in_a_few_words(value, text):
    assert said(value) == text
