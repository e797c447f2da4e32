"""The table of curves follows the rule of the curves."""

from __future__ import annotations

import numpy as np

from rl.plots.curve_table import curve_table
from rl.plots.learning_curves import Evaluations


def run(name: str, *rows: tuple[float, float, float]) -> Evaluations:
    return Evaluations(name, np.array([(step, mean, 0.0, success) for step, mean, success in rows]))


def cells(table: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in table.splitlines()]


def test_the_later_of_two_evaluations_counts_and_a_seed_that_was_not_evaluated_does_not():
    runs = [
        run("a-0", (0, 1.0, 0.0), (100, 2.0, 0.1), (100, 3.0, 0.5)),
        run("a-1", (0, 2.0, 0.0), (100, 2.0, 0.9)),
        run("a-2", (0, 6.0, 0.2)),
        run("b-0", (0, 0.0, 0.0)),
    ]
    header, _, first, second = cells(curve_table(runs, [0, 100, 5_000]))
    assert header[1:] == ["0", "100", "5 000"]
    assert first == ["a", "0 % (0 % to 20 %), 3 seeds", "70 % (50 % to 90 %), 2 seeds", "–"]
    assert second == ["b", "0 %, 1 seed", "–", "–"]
    assert cells(curve_table(runs))[2] == ["a", "50 % (20 % to 90 %), 3 seeds"]


def test_the_return_is_told_where_nothing_succeeds_or_nobody_says():
    for success in (0.0, np.nan):
        found = cells(curve_table([run("a-0", (5, -1027.39, success)), run("a-1", (5, 0.05678, success))]))
        assert found[0][0].startswith("mean return")
        assert found[2] == ["a", "-514 (-1027 to 0.0568), 2 seeds"]
