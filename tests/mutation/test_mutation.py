"""The mutation tool itself: what it changes, how it names it, and a campaign that is interrupted."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray", reason="mutation testing needs the dev extra")
pytest.importorskip("coverage", reason="mutation testing needs the dev extra")

from cosmic_ray.mutating import mutate_code

from tests.mutation.__main__ import SURVIVORS
from tests.mutation.line_map import statement_lines
from tests.mutation.mutants import mutants_of
from tests.mutation.operators import OPERATORS, DeleteStatement, DropContext, SwapStatements
from tests.mutation.packages import TESTS, find_tests, package_of, sources_of
from tests.mutation.runner import BrokenBaseline, Campaign

ROOT = Path(__file__).parents[2]
SOURCE = '''"""A lamp."""

MOST = 3


def switch(lamp, lock):
    """Switch it."""
    with lock:
        lamp.count += 1
        lamp.is_on = lamp.count < MOST
    return lamp.is_on
'''
SWAPPED = """def switch(lamp):
    lamp.turn()
    lamp.fix(
        1,
    )
    return 1
"""
TEST = """from types import SimpleNamespace
from contextlib import nullcontext
from lamp import switch

def test_lamp():
    assert switch(SimpleNamespace(count=0), nullcontext())
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    (root / "lamp.py").write_text(SOURCE)
    (root / "test_lamp.py").write_text(TEST)
    return root


@pytest.mark.parametrize("kind", [DeleteStatement, SwapStatements, DropContext])
def test_each_operator_does_what_its_example_says(kind):
    for example in kind.examples():
        assert mutate_code(example.pre_mutation_code, kind(), example.occurrence) == example.post_mutation_code


def test_every_mutant_compiles_differs_and_has_a_name_of_its_own(repository):
    mutants = list(mutants_of(repository, "lamp.py"))
    assert len({mutant.id for mutant in mutants}) == len(mutants)
    assert len({mutant.code for mutant in mutants}) == len(mutants)
    changes = {mutant.change for mutant in mutants}
    assert "-        lamp.count += 1\n+        pass" in changes
    assert "-    with lock:\n+    if True:" in changes
    assert "-MOST = 3\n+MOST = 4" in changes
    for mutant in mutants:
        compile(mutant.code, mutant.path, "exec")


def test_both_of_two_statements_that_change_places_are_changed(repository):
    (repository / "lamp.py").write_text(SWAPPED)
    swapped = [mutant for mutant in mutants_of(repository, "lamp.py") if mutant.operator == "SwapStatements"]
    assert [{2, 3} <= statement_lines(SWAPPED, mutant.changed) for mutant in swapped] == [True]


def test_a_name_does_not_depend_on_the_rest_of_the_file(repository):
    before = {mutant.id for mutant in mutants_of(repository, "lamp.py")}
    (repository / "lamp.py").write_text(SOURCE.replace("MOST = 3", "LEAST = 0\n\nMOST = 3"))
    after = {mutant.id for mutant in mutants_of(repository, "lamp.py")}
    assert before < after


def test_the_mutants_of_one_definition_are_some_of_all(repository):
    every = {mutant.id for mutant in mutants_of(repository, "lamp.py")}
    names = {name.split()[1] for name in every}
    assert len(names) > 1
    for name in names:
        some = {mutant.id for mutant in mutants_of(repository, "lamp.py", {name})}
        assert some == {one for one in every if one.split()[1] == name}


def test_a_campaign_tells_the_noticed_from_the_unnoticed_and_goes_on_where_it_was(repository, tmp_path):
    mutants = {mutant.change: mutant for mutant in mutants_of(repository, "lamp.py")}
    campaign = Campaign(repository, tmp_path / "kept", ["test_lamp.py"], ["lamp.py"])
    campaign.prepare()
    noticed = campaign.run(mutants["-    return lamp.is_on\n+    pass"])
    unnoticed = campaign.run(mutants["-    with lock:\n+    if True:"])
    assert noticed.is_noticed
    assert noticed.failed == "test_lamp.py::test_lamp"
    assert not unnoticed.is_noticed
    assert (repository / "lamp.py").read_text() == SOURCE
    again = Campaign(repository, tmp_path / "kept", ["test_lamp.py"], ["lamp.py"])
    assert again.results == {noticed.id: noticed, unnoticed.id: unnoticed}
    again.forget([unnoticed.id])
    lines = (tmp_path / "kept" / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [noticed.id]


def test_tests_that_fail_on_the_unchanged_source_are_no_measure(repository, tmp_path):
    (repository / "lamp.py").write_text(SOURCE.replace("<", ">"))
    with pytest.raises(BrokenBaseline, match="unchanged source"):
        Campaign(repository, tmp_path / "kept", ["test_lamp.py"], ["lamp.py"]).prepare()


def test_every_package_has_files_and_tests():
    for package in TESTS:
        assert sources_of(ROOT, package)
        assert [one for one in find_tests(ROOT, package) if not one.startswith("-")]


def test_a_file_belongs_to_the_innermost_package_alone():
    franka = sources_of(ROOT, "robotkit/drivers/franka")
    assert "robotkit/drivers/franka/link.py" in franka
    assert not set(franka) & set(sources_of(ROOT, "robotkit/drivers"))
    assert package_of("robotkit/drivers/franka/link.py") == "robotkit/drivers/franka"
    assert package_of("robotkit/drivers/polling.py") == "robotkit/drivers"
    assert package_of("robotkit/__init__.py") is None


def test_every_listed_survivor_exists_and_has_a_reason():
    reasons = tomllib.loads(SURVIVORS.read_text(encoding="utf-8"))
    definitions: dict[str, set[str]] = {}
    for name in reasons:
        path, definition, _ = name.split()
        definitions.setdefault(path, set()).add(definition)
    existing = {mutant.id for path, names in definitions.items() for mutant in mutants_of(ROOT, path, names)}
    for name, reason in reasons.items():
        assert name in existing, f"{name} does not exist any more; remove it from survivors.toml"
        assert len(reason.split()) > 3, f"{name} needs a reason"
    assert OPERATORS
