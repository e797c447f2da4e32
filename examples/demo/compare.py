"""Evaluation curves of several runs: one picture, and one table that outlives the runs."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import tyro
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from examples.demo.curve import read_metrics

COLUMNS = ("return_mean", "return_std", "success_rate")


@dataclass(frozen=True)
class Compare:
    """Draw the evaluations of runs that differ in their seeds, or in their settings and seeds."""

    runs: tuple[Path, ...]
    """Directories of runs, each with a metrics.jsonl."""
    out: Path
    """PNG to write; a .csv of the same name holds the numbers."""
    title: str = ""
    by_setting: bool = False
    """Runs are named SETTING-SEED: draw each setting in one colour, with the mean over its seeds."""
    reference: Path | None = None
    """A table with the columns env_step and return_mean, drawn as a dashed line."""


def read_evaluations(run: Path) -> list[tuple[float, ...]]:
    """Step, return mean, its spread and success rate of each evaluation."""
    rows = read_metrics(run / "metrics.jsonl")
    return [
        (row["step"], *(row[f"evaluation/{name}"] for name in COLUMNS)) for row in rows if "evaluation/episodes" in row
    ]


def write_table(runs: tuple[Path, ...], path: Path) -> None:
    """One line an evaluation."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("run", "env_step", *COLUMNS))
        for run in runs:
            writer.writerows((run.name, *(f"{value:.6g}" for value in row)) for row in read_evaluations(run))


def setting_of(run: Path) -> str:
    """The name of a run without its seed."""
    return run.name.rpartition("-")[0]


def draw_runs(runs: tuple[Path, ...], returns: Axes, success: Axes) -> None:
    """One line a run."""
    for run in runs:
        steps, mean, _, rate = zip(*read_evaluations(run), strict=True)
        returns.plot(steps, mean, "-o", markersize=3, label=run.name)
        success.plot(steps, rate, "-o", markersize=3, label=run.name)


def draw_settings(runs: tuple[Path, ...], returns: Axes, success: Axes) -> None:
    """One colour a setting: thin lines for its seeds, a thick one for their mean at the steps that all of them have."""
    for index, (setting, group) in enumerate(groupby(sorted(runs), setting_of)):
        seeds = [{row[0]: row[1:] for row in read_evaluations(run)} for run in group]
        common = sorted(set.intersection(*(set(seed) for seed in seeds)))
        for axes, column in ((returns, 0), (success, 2)):
            for seed in seeds:
                steps = sorted(seed)
                axes.plot(steps, [seed[step][column] for step in steps], color=f"C{index}", linewidth=0.7, alpha=0.6)
            mean = [np.mean([seed[step][column] for seed in seeds]) for step in common]
            axes.plot(common, mean, color=f"C{index}", linewidth=2.5, label=f"{setting}, mean of {len(seeds)}")


def draw_reference(path: Path, returns: Axes) -> None:
    """The returns of somebody else's learner."""
    with path.open(newline="") as file:
        points = [(float(row["env_step"]), float(row["return_mean"])) for row in csv.DictReader(file)]
    returns.plot(*zip(*points, strict=True), "k--", label=path.stem)


def main() -> None:
    """Entry point of `python -m examples.demo.compare`."""
    compare = tyro.cli(Compare)
    figure, (returns, success) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    draw = draw_settings if compare.by_setting else draw_runs
    draw(compare.runs, returns, success)
    if compare.reference is not None:
        draw_reference(compare.reference, returns)
    returns.set(xlabel="environment steps", ylabel="return of an evaluation episode", ylim=(0, None))
    success.set(xlabel="environment steps", ylabel="success rate", ylim=(0, 1.05))
    returns.legend(frameon=False)
    figure.suptitle(compare.title)
    figure.savefig(compare.out, dpi=120)
    write_table(compare.runs, compare.out.with_suffix(".csv"))


if __name__ == "__main__":
    main()
