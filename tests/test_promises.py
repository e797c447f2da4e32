"""docs/safety.md promises nothing without a test that is there and runs by default."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TABLE = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8").partition("## What it promises")[2]
NAMED = re.findall(r"`((?:tests|robotkit/testing)/[\w/]+\.py)::(\w+)`", TABLE)


def test_every_promise_names_a_test():
    rows = [line for line in TABLE.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert len(rows) == len(NAMED) > 30


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_the_test_of_a_promise_is_there_and_not_slow(file, name):
    functions = [node for node in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(node, ast.FunctionDef)]
    marks = [ast.unparse(mark) for node in functions if node.name == name for mark in node.decorator_list]
    assert name in {node.name for node in functions}
    assert not any("slow" in mark or "skip" in mark for mark in marks)
