"""What pages say of the learning curves is what the files beside the pictures hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rl.plots.curve_table import curve_table
from rl.plots.learning_curves import read_evaluations
from tests.end_to_end.runs import ROOT

DOCS = ROOT / "docs"
_TABLE = re.compile(r"<!-- (curve_\w+)((?: \d+)*) -->\n\n(.*?)\n\n<!-- end of curve -->", re.DOTALL)
TABLES = [
    pytest.param(page, *found, id=f"{page.stem}-{found[0]}")
    for page in sorted(DOCS.glob("*.md"))
    for found in _TABLE.findall(page.read_text())
]


@pytest.mark.parametrize(("page", "name", "steps", "table"), TABLES)
def test_the_table_of_a_curve_is_that_of_its_file(page: Path, name: str, steps: str, table: str):
    runs = read_evaluations([DOCS / "images" / f"{name}.csv"])
    assert table == curve_table(runs, [int(step) for step in steps.split()])
    assert f"](images/{name}.png)" in page.read_text()


def test_every_curve_has_a_table():
    assert {param.values[1] for param in TABLES} == {path.stem for path in (DOCS / "images").glob("curve_*.csv")}
