"""Runs a table: what is missing of it, with the demonstrations that it needs, into its file of records."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.learning.demonstrations import find_demonstrations
from benchmarks.learning.peers.packages import require_packages
from benchmarks.learning.records import Records, RunRecord
from benchmarks.learning.tables import RunSpec, list_runs
from benchmarks.learning.workers import Evaluations, train_all
from benchmarks.machine import machine
from rl.errors import ConfigError, RunExists

RESULTS = Path(__file__).parents[1] / "results" / "learning"
"""Folder of the records, which are kept in the repository, and of what is made from them."""


def records_of(table: str, folder: Path) -> Records:
    """The records of a table."""
    return Records(folder / f"{table}.jsonl")


def run_table(table: str, jobs: int, folder: Path, variants: Sequence[str] = ()) -> int:
    """Make the runs of a table whose records are missing, or were made with other settings.

    Args:
        table: its name.
        jobs: processes at a time.
        folder: of the results; made when it is missing.
        variants: those to run; all of the table by default.

    Returns:
        The number of runs that failed.

    Raises:
        ConfigError: there is no such table or variant, a run cannot be made, or nobody would make it.
        DataError: the records cannot be read, or an expert failed too often.
        MissingExtra: a variant that is missing is a peer whose library is not installed.
        RunExists: another process runs this table.
    """
    if jobs < 1:
        raise ConfigError(f"--jobs must be at least 1, not {jobs}")
    specs = list_runs(table, variants)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / f"{table}.lock"):
        records = records_of(table, folder)
        missing = [spec for spec in specs if records.find(spec) is None]
        require_packages(sorted({package for spec in missing for package in spec.how.packages}))
        print(f"{table}: {len(missing)} of {len(specs)} runs to do, {jobs} at a time", flush=True)
        ready = [replace(spec, demos=find_demonstrations(spec, folder / "demonstrations")) for spec in missing]
        failed, commit = 0, _commit()
        for spec, evaluations in train_all(ready, jobs):
            if evaluations is None:
                failed += 1
                print(f"{spec.name}: failed", flush=True)
                continue
            records.add(_record(spec, evaluations, commit))
            print(f"{spec.name}: done", flush=True)
    return failed


def _record(spec: RunSpec, evaluations: Evaluations, commit: str | None) -> RunRecord:
    return RunRecord(
        table=spec.table,
        variant=spec.variant,
        seed=spec.seed,
        settings=spec.settings(),
        evaluations=evaluations,
        machine=machine(),
        commit=commit,
    )


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunExists(f"another process runs this table ({lock}): wait for its end, or stop it") from error
        yield


def _commit() -> str | None:
    """The version of the source; records of other runs, which change while a table is run, do not make it dirty."""
    try:
        commit = _git("describe", "--always", "--abbrev=12")
        return commit + ("-dirty" if _git("status", "--porcelain", "--", "*.py") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*words: str) -> str:
    root = Path(__file__).parents[2]
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
