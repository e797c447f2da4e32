"""The command line of the learning benchmark: `run` makes what is missing of a table, `report` says what it shows."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from benchmarks.learning.campaign import RESULTS, records_of, run_table
from benchmarks.learning.curves import draw_scores
from benchmarks.learning.page import picture_on_page, put_on_page
from benchmarks.learning.report import write_report
from benchmarks.learning.scores import read_measures
from benchmarks.learning.tables import find_table, list_runs
from rl.cli.endings import exit_status

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

TableName = Annotated[str, tyro.conf.Positional]


@dataclass(frozen=True)
class Run:
    """Train what is missing of a table; what is there already is kept."""

    table: TableName
    """Name in benchmarks/learning/tables.py."""
    jobs: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    """Processes at a time, one core each; all cores by default."""
    variants: tuple[str, ...] = ()
    """Variants to train; all of the table by default."""
    folder: Path = RESULTS
    """Folder of the results."""

    def __call__(self) -> None:
        """Train."""
        os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))  # of the processes that are started from now on
        if failed := run_table(self.table, self.jobs, self.folder, self.variants):
            raise OSError(f"{failed} of the runs failed, see above; the same command tries them again")


@dataclass(frozen=True)
class Report:
    """Write TABLE.md and TABLE.png of what is recorded of a table, and print the former."""

    table: TableName
    """Name in benchmarks/learning/tables.py."""
    folder: Path = RESULTS
    """Folder of the results."""
    page: Path | None = None
    """Page of the documentation whose section of this table is replaced; its picture goes into `images` beside it."""

    def __call__(self) -> None:
        """Write."""
        table, records = find_table(self.table), records_of(self.table, self.folder)
        measures = read_measures(records, table)
        places = [self.folder / f"{self.table}.png"]
        text = write_report(self.table, table, records, places[0].name)
        places[0].with_suffix(".md").write_text(text, encoding="utf-8")
        if self.page is not None:
            picture = picture_on_page(self.table)
            put_on_page(self.page, self.table, write_report(self.table, table, records, picture))
            places.append(self.page.parent / picture)
        for place in places:
            draw_scores(measures, place)
        print(text, end="")
        if changed := [spec.name for spec in list_runs(self.table) if records.is_outdated(spec)]:
            print(f"\nMade with other settings than those of now: {'; '.join(changed)}. `run` makes them again.")


def main() -> None:
    """Entry point of `python -m benchmarks.learning`."""
    command = tyro.extras.subcommand_cli_from_dict({"run": Run, "report": Report}, prog="python -m benchmarks.learning")
    if status := exit_status(command):
        raise SystemExit(status)


if __name__ == "__main__":
    main()
