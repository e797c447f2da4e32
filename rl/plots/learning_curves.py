"""Learning curves: evaluations of several runs, and their median and range over the seeds of each setting."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rl.errors import DataError
from rl.plots.pictures import COLORS, label_axes
from rl.utils.metrics_file import read_metrics
from rl.utils.run_directory import METRICS

STEPS_LABEL = "environment steps (thousands)"
RETURN_LABEL = "return of an evaluation episode\n(sum of rewards)"
SUCCESS_LABEL = "success (% of evaluation episodes)"
_COLUMNS = ("return_mean", "return_std", "success_rate")
_MARKERS = "os^Dvp"
# `runs/demo-20260131-120000-s2` is seed 2 of "demo", and `runs/demo-2` is too.
_RUN_NAME = re.compile(r"(?P<setting>.+?)(-\d{8}-\d{6})?-s?\d+")


@dataclass(frozen=True)
class Evaluations:
    """The measurements of the evaluations of one run."""

    run: str
    """Name of the run: its setting, and its seed at the end."""
    values: np.ndarray
    """(evaluations, 4), in the order of the steps: environment step, mean and standard deviation of the return, and the
    share of successes, which is nan where the environment does not report it."""

    @property
    def setting(self) -> str:
        """The name without time and seed."""
        match = _RUN_NAME.fullmatch(self.run)
        return match["setting"] if match else self.run

    def curve(self, column: int) -> tuple[np.ndarray, np.ndarray]:
        """Thousands of steps and the values of a column; of two evaluations after one step the later one counts."""
        last = {row[0]: row[column] for row in self.values}
        return np.array(list(last)) / 1000, np.array(list(last.values()))


@dataclass(frozen=True)
class Band:
    """A quantity over the steps that all seeds of a setting have reached."""

    steps: np.ndarray
    low: np.ndarray
    median: np.ndarray
    high: np.ndarray


def read_evaluations(sources: Iterable[Path]) -> list[Evaluations]:
    """Read runs.

    Args:
        sources: directories of runs, each with its metrics, and tables that `write_table` has written.

    Raises:
        DataError: one of them is neither, or holds no evaluation.
    """
    return [run for source in sources for run in _read(source)]


def write_table(runs: Iterable[Evaluations], path: Path) -> None:
    """Write a CSV with one line for each evaluation, which outlives the runs."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("run", "env_step", *_COLUMNS))
        writer.writerows((run.run, *(f"{value:.6g}" for value in row)) for run in runs for row in run.values)


def band(curves: Sequence[tuple[np.ndarray, np.ndarray]]) -> Band:
    """Median and range over seeds, between evaluations by linear interpolation.

    Without any assumption on their distribution, the range of n seeds holds the median of all seeds with probability
    1 - 2^(1 - n): 75 % for three, 94 % for five. David and Nagaraja 2003, Order Statistics, section 7.1.

    Args:
        curves: for each seed the steps (N,), which rise, and the values (N,).
    """
    first, last = max(steps[0] for steps, _ in curves), min(steps[-1] for steps, _ in curves)
    grid = np.unique(np.concatenate([steps for steps, _ in curves]))
    grid = grid[(grid >= first) & (grid <= last)]
    values = np.stack([np.interp(grid, steps, values) for steps, values in curves])
    return Band(grid, values.min(0), np.median(values, 0), values.max(0))


def draw_runs(runs: Sequence[Evaluations], picture: Path, title: str = "", reference: Path | None = None) -> None:
    """Draw returns, and successes where a run had one: of each setting the median, the range and a line for each seed.

    Returns that are successes, of a task that pays 1 for a success and nothing else, are drawn once, as successes.

    Args:
        runs: at least one; those of one setting differ in their seeds.
        picture: file to write.
        title: over it.
        reference: a table with the columns env_step and return_mean, drawn as a dashed line.
    """
    groups: dict[str, list[Evaluations]] = {}
    for run in runs:
        groups.setdefault(run.setting, []).append(run)
    has_successes = any(np.nanmax(run.values[:, 3], initial=0.0) > 0.0 for run in runs)
    are_successes = has_successes and all(np.array_equal(run.values[:, 1], run.values[:, 3]) for run in runs)
    has_returns = reference is not None or not are_successes
    count = has_returns + has_successes
    figure = Figure(figsize=(2.0 + 4.0 * count, 4.0), layout="constrained", facecolor="white")
    panels = np.atleast_1d(figure.subplots(1, count))
    if has_returns:
        _draw_groups(panels[0], groups, column=1)
        label_axes(panels[0], STEPS_LABEL, RETURN_LABEL)
    if reference is not None:
        with reference.open(newline="") as file:
            points = [(float(row["env_step"]) / 1000, float(row["return_mean"])) for row in csv.DictReader(file)]
        panels[0].plot(*zip(*points, strict=True), "k--", label=reference.stem)
    if has_successes:
        _draw_groups(panels[-1], groups, column=3, scale=100.0)
        label_axes(panels[-1], STEPS_LABEL, SUCCESS_LABEL)
        panels[-1].set_ylim(-3, 103)
    panels[0].legend(frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11)
    figure.savefig(picture, dpi=150)


def _draw_groups(axes: Axes, groups: Mapping[str, Sequence[Evaluations]], column: int, scale: float = 1.0) -> None:
    for index, (setting, runs) in enumerate(groups.items()):
        style: dict[str, Any] = {
            "color": COLORS[index % len(COLORS)],
            "marker": _MARKERS[index % len(_MARKERS)],
            "markersize": 4,
        }
        curves = [(steps, scale * values) for steps, values in (run.curve(column) for run in runs)]
        if len(curves) == 1:
            axes.plot(*curves[0], label=f"{setting}, one seed", **style)
            continue
        for curve in curves:
            axes.plot(*curve, color=style["color"], linewidth=0.7, alpha=0.45)
        over = band(curves)
        axes.fill_between(over.steps, over.low, over.high, color=style["color"], alpha=0.18, linewidth=0,
                          label=f"{setting}, lowest to highest seed")  # fmt: skip
        axes.plot(over.steps, over.median, linewidth=2.2, label=f"{setting}, median of {len(runs)} seeds", **style)


def _read(source: Path) -> list[Evaluations]:
    try:
        found = _from_table(source) if source.suffix == ".csv" else [_of(source)]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{source} has no evaluations to draw ({type(error).__name__}: {error}): give the directory of a run, with "
            f"its {METRICS}, or a .csv that this command wrote"
        ) from error
    if not found or not all(len(run.values) for run in found):
        raise DataError(f"{source} holds no evaluation yet: train on, or leave it out")
    return found


def _of(run: Path) -> Evaluations:
    rows = read_metrics(run / METRICS)
    return _evaluations(run.name, [
        (row["step"], *(row.get(f"evaluation/{name}", np.nan) for name in _COLUMNS))
        for row in rows if "evaluation/episodes" in row
    ])  # fmt: skip


def _from_table(path: Path) -> list[Evaluations]:
    runs: dict[str, list[tuple[float, ...]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            runs.setdefault(row["run"], []).append(tuple(float(row[name]) for name in ("env_step", *_COLUMNS)))
    return [_evaluations(run, rows) for run, rows in runs.items()]


def _evaluations(run: str, rows: Sequence[tuple[float, ...]]) -> Evaluations:
    values = np.array(rows, float).reshape(-1, 1 + len(_COLUMNS))
    return Evaluations(run, values[np.argsort(values[:, 0], kind="stable")])
