"""The scores of a variant: its evaluations as arrays of runs and points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.learning.intervals import area_under_curve
from benchmarks.learning.records import Evaluation, Records, RunRecord
from benchmarks.learning.tables import Table
from rl.errors import DataError


@dataclass(frozen=True)
class Scores:
    """The evaluations of all runs of a variant."""

    variant: str
    seeds: tuple[int, ...]
    steps: np.ndarray
    """Environment steps (points,)."""
    values: np.ndarray
    """(runs, points): share of successful episodes, or mean return where a task does not report success."""
    cpu_s: np.ndarray
    """CPU-seconds of the training (runs, points)."""
    are_successes: bool

    @property
    def last(self) -> np.ndarray:
        """Value of the last evaluation (runs,)."""
        return np.asarray(self.values[:, -1])

    @property
    def area(self) -> np.ndarray:
        """Mean value over the steps (runs,)."""
        return area_under_curve(self.steps, self.values)

    def of_seeds(self, seeds: Sequence[int]) -> list[int]:
        """The rows of these seeds."""
        return [self.seeds.index(seed) for seed in seeds]


def read_measures(records: Records, table: Table) -> list[list[Scores]]:
    """What a table shows: the successes of its variants, or returns where a task reports none; or both, if it asks.

    Raises:
        DataError: as in `read_scores`.
    """
    measures = [read_scores(records, table.variants)]
    if table.shows_returns and measures[0][0].are_successes:
        measures.append(read_scores(records, table.variants, of_returns=True))
    return measures


def read_scores(records: Records, variants: Sequence[str], of_returns: bool = False) -> list[Scores]:
    """The scores of the variants that have runs, in this order.

    Args:
        records: of the runs.
        variants: their names.
        of_returns: whether returns count also where the task reports success.

    Raises:
        DataError: there are none, or runs that are to be compared had different settings.
    """
    found = {variant: runs for variant in variants if (runs := records.of(variant))}
    if not found:
        raise DataError(f"no run of {', '.join(variants)} is recorded yet: run the table first")
    common = {_Comparable.of(run) for runs in found.values() for run in runs}
    own = {variant: [_without_seed(run) for run in runs] for variant, runs in found.items()}
    mixed = [variant for variant, settings in own.items() if any(one != settings[0] for one in settings)]
    if mixed or len(common) > 1:
        raise DataError(
            f"runs of {', '.join(mixed or found)} were made with different settings, and cannot be compared: the "
            "command `run` makes those again that are not of now"
        )
    return [_scores(variant, runs, of_returns) for variant, runs in found.items()]


@dataclass(frozen=True)
class _Comparable:
    """The settings that all variants of a table share."""

    task: str
    grid: tuple[int, ...]
    episodes: int

    @classmethod
    def of(cls, run: RunRecord) -> _Comparable:
        settings = run.settings
        return cls(repr(settings["task"]), tuple(settings["grid"]), settings["episodes"])


def _without_seed(run: RunRecord) -> dict[str, Any]:
    return {name: value for name, value in run.settings_of_now()["training"].items() if name != "seed"}


def _scores(variant: str, runs: Sequence[RunRecord], of_returns: bool) -> Scores:
    evaluations = [run.evaluations for run in runs]
    are_successes = not of_returns and all(one.successes is not None for of_run in evaluations for one in of_run)
    return Scores(
        variant,
        tuple(run.seed for run in runs),
        np.array([one.env_steps for one in evaluations[0]]),
        np.array([[_value(one, are_successes) for one in of_run] for of_run in evaluations]),
        np.array([[one.cpu_s for one in of_run] for of_run in evaluations]),
        are_successes,
    )


def _value(evaluation: Evaluation, is_success: bool) -> float:
    return float(np.mean(evaluation.successes if is_success and evaluation.successes else evaluation.returns))
