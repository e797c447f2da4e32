"""A table of what runs had reached after some steps, by the rule of their curves, so that picture and page agree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from rl.plots.learning_curves import Evaluations

_RETURN, _SUCCESS = 1, 3


def curve_table(runs: Iterable[Evaluations], steps: Sequence[int] = ()) -> str:
    """Return the rows of a Markdown table: for each setting the median over its seeds, with the lowest and the highest.

    It has the success where any run reports one above 0, else the mean return. Of two evaluations after one step the
    later one counts, as in the curve. A run that was not evaluated after a step is not counted there.

    Args:
        runs: what was evaluated.
        steps: environment steps of the columns; none for one column with the last evaluation of each run.
    """
    found = list(runs)
    column = _SUCCESS if any(np.nanmax(run.values[:, _SUCCESS], initial=0.0) > 0 for run in found) else _RETURN
    quantity = "success" if column == _SUCCESS else "mean return"
    settings = dict.fromkeys(run.setting for run in found)
    rows = [[setting, *_cells([run for run in found if run.setting == setting], column, steps)] for setting in settings]
    asked = [f"{step:,}".replace(",", " ") for step in steps] or ["the last evaluation"]
    header = [f"{quantity}, median over the seeds (lowest to highest) after environment steps", *asked]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))


def _cells(runs: Sequence[Evaluations], column: int, steps: Sequence[int]) -> list[str]:
    if not steps:
        return [_cell([run.values[-1, column] for run in runs], column)]
    at = [dict(zip(run.values[:, 0], run.values[:, column], strict=True)) for run in runs]  # the later value stays
    return [_cell([values[step] for values in at if step in values], column) for step in steps]


def _cell(values: Sequence[float], column: int) -> str:
    if not values:
        return "–"
    low, middle, high = (_shown(float(one), column) for one in (min(values), np.median(values), max(values)))
    seeds = f"{len(values)} seeds" if len(values) > 1 else "1 seed"
    return f"{middle} ({low} to {high}), {seeds}" if len(values) > 1 else f"{middle}, {seeds}"


def _shown(value: float, column: int) -> str:
    if column == _SUCCESS:
        return f"{value:.0%}".replace("%", " %")
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
