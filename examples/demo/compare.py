"""Evaluation curves of several runs: one picture, and one table that outlives the runs."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import tyro
from matplotlib import pyplot as plt

from examples.demo.curve import read_metrics

COLUMNS = ("return_mean", "return_std", "success_rate")


@dataclass(frozen=True)
class Compare:
    """Draw the evaluations of runs with the same settings and other seeds."""

    runs: tuple[Path, ...]
    """Directories of runs, each with a metrics.jsonl."""
    out: Path
    """PNG to write; a .csv of the same name holds the numbers."""
    title: str = ""


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


def main() -> None:
    """Entry point of `python -m examples.demo.compare`."""
    compare = tyro.cli(Compare)
    figure, (returns, success) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for run in compare.runs:
        steps, mean, _, rate = zip(*read_evaluations(run), strict=True)
        returns.plot(steps, mean, "-o", markersize=3, label=run.name)
        success.plot(steps, rate, "-o", markersize=3, label=run.name)
    returns.set(xlabel="environment steps", ylabel="return of an evaluation episode", ylim=(0, None))
    success.set(xlabel="environment steps", ylabel="success rate", ylim=(0, 1.05))
    returns.legend(frameon=False)
    figure.suptitle(compare.title)
    figure.savefig(compare.out, dpi=120)
    write_table(compare.runs, compare.out.with_suffix(".csv"))


if __name__ == "__main__":
    main()
