"""An id is one task for ever: what its numbers are is written down, and other numbers need another version of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.envs.task_definitions import FILE, definitions

WRITTEN = json.loads(FILE.read_text(encoding="utf-8"))
FOUND = definitions()


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: _rounded(value)}
    return {name: leaf for key, inner in value.items() for name, leaf in leaves(inner, f"{path}/{key}").items()}


def _rounded(value: Any) -> Any:
    """Nine digits of a number: the last ones are those of a machine's trigonometry."""
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def test_every_task_is_written_down():
    assert FOUND.keys() == WRITTEN.keys(), "python -m tests.envs.task_definitions writes new ids down"


@pytest.mark.parametrize("name", WRITTEN)
def test_an_id_is_the_task_that_it_was(name: str):
    found, written = leaves(json.loads(json.dumps(FOUND[name]))), leaves(WRITTEN[name])
    different = {path for path in found.keys() | written.keys() if found.get(path) != written.get(path)}
    assert not different, f"{name} would be another task: give it another version"
