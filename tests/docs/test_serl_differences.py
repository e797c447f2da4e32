"""The page of the differences from SERL names settings that exist, and every number that a test gives a difference."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from rl.agents.continuous.sac_hybrid_config import SingleArmConfig
from tests.end_to_end.runs import ROOT

PAGE = (ROOT / "docs" / "serl_differences.md").read_text(encoding="utf-8")
NUMBER = r"\b(?:S|H|LR)\d{1,2}\b"


def docstrings() -> Iterator[str]:
    for file in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.Module)):
                yield ast.get_docstring(node) or ""


def test_the_named_settings_are_those_that_undo_the_differences():
    named = {name: value == "True" for name, value in re.findall(r"`(\w+) = (True|False)`", PAGE)}
    ours = SingleArmConfig()
    assert len(named) == 6
    assert {name: getattr(ours, name) for name in named} == {name: not value for name, value in named.items()}
    assert {name: getattr(ours.as_in_serl(), name) for name in named} == named


def test_numbers_that_tests_name_are_on_the_page():
    named = {number for text in docstrings() for number in re.findall(NUMBER, text)}
    assert len(named) > 20
    assert named <= set(re.findall(NUMBER, PAGE))


def test_source_texts_speak_without_numbers():
    for package in ("robotkit", "rl", "envs", "sims", "servers", "examples"):
        for file in (ROOT / package).rglob("*.py"):
            assert not re.search(r"\((?:agentlace's )?(?:[SAH]|LR)\d{1,2}[):,]", file.read_text(encoding="utf-8")), file
