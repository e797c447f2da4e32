"""Learning curves of several runs: one picture, its numbers, which outlive the runs, and a table for a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from rl.cli.endings import exit_status
from rl.plots.curve_table import curve_table
from rl.plots.learning_curves import draw_runs, read_evaluations, write_table


@dataclass(frozen=True)
class Compare:
    """Draw the evaluations of runs named SETTING-SEED: for each setting the median and the range over its seeds."""

    runs: tuple[Path, ...]
    """Directories of runs, each with a metrics.jsonl, or tables that this command has written."""
    out: Path
    """PNG or SVG to write; a .csv of the same name holds the numbers."""
    title: str = ""
    reference: Path | None = None
    """A table with the columns env_step and return_mean, drawn as a dashed line."""
    at: tuple[int, ...] = ()
    """Environment steps of the table that is printed; by default it has the last evaluation of each run."""


def main() -> None:
    """Entry point of `python -m examples.demo.compare`."""
    compare = tyro.cli(Compare, prog="python -m examples.demo.compare")
    if status := exit_status(lambda: draw(compare)):
        raise SystemExit(status)


def draw(compare: Compare) -> None:
    """Draw the picture, write its numbers, and print a table for a page.

    Raises:
        DataError: a source holds no evaluations.
    """
    runs = read_evaluations(compare.runs)
    draw_runs(runs, compare.out, compare.title, compare.reference)
    write_table(runs, compare.out.with_suffix(".csv"))
    print(curve_table(runs, compare.at))


if __name__ == "__main__":
    main()
