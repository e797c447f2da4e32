"""The report of a table: what its records show, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.learning.intervals import Statistic, bootstrap_interval, iqm, mean
from benchmarks.learning.records import Records, RunRecord
from benchmarks.learning.scores import Scores, read_measures
from benchmarks.learning.tables import Table

_FACTS = ("cores", "python", "torch", "numpy", "mujoco", "gymnasium")


def write_report(name: str, table: Table, records: Records, picture: str) -> str:
    """The text of a report.

    Args:
        name: of the table.
        table: its first variant is the baseline.
        records: of the runs.
        picture: target of the link to the picture.

    Raises:
        DataError: there are no runs, or they cannot be compared.
    """
    measures = {"success" if scores[0].are_successes else "return": scores for scores in read_measures(records, table)}
    runs = [run for one in next(iter(measures.values())) for run in records.of(one.variant)]
    parts = [_describe(name, table, runs), f"![{' and '.join(measures)} of the table {name}]({picture})"]
    for what, scores in measures.items():
        parts += [_summary(scores, table.variants[0], what), _points(scores, what)]
    return "\n\n".join(parts) + "\n"


def _describe(name: str, table: Table, runs: Sequence[RunRecord]) -> str:
    settings, planned = runs[0].settings, len(table.variants) * len(table.seeds)
    machines = sorted({", ".join(f"{fact} {run.machine[fact]}" for fact in _FACTS) for run in runs})
    peers = ", ".join(sorted({f"{name} {pin}" for run in runs for name, pin in _packages(run).items()}))
    versions = sorted({run.commit or "unknown" for run in runs})
    return (
        f"Task `{settings['task']['env']}`, {settings['task']['demonstrations']} demonstrations, "
        f"{settings['grid'][-1]:,} environment steps, evaluations of {settings['episodes']} common episodes. "
        f"{len(runs)} of {planned} runs of the table `{name}` are recorded. "
        f"Machine: {'; '.join(machines)}. {f'Peers: {peers}. ' if peers else ''}"
        f"Source: {', '.join(versions)}."
    )


def _packages(run: RunRecord) -> Mapping[str, str]:
    packages: Mapping[str, str] = run.settings["training"].get("packages", {})
    return packages


def _summary(scores: Sequence[Scores], baseline: str, what: str) -> str:
    heads = (
        "variant", "runs", f"{what} at the end", "area under the curve", f"difference in {what} at the end",
        "difference in area", "CPU-seconds",
    )  # fmt: skip
    of_baseline = next((one for one in scores if one.variant == baseline), None)
    rows = [
        (
            f"`{one.variant}`",
            str(len(one.seeds)),
            _estimate(one.last, iqm, one.are_successes),
            _estimate(one.area, iqm, one.are_successes),
            *_differences_in_words(one, of_baseline),
            f"{one.cpu_s[:, -1].mean():.0f}",
        )
        for one in scores
    ]
    return _table(heads, rows)


def _differences_in_words(variant: Scores, baseline: Scores | None) -> tuple[str, str]:
    if variant is baseline:
        return "baseline", "baseline"
    if baseline is None:
        return "–", "–"
    last, area = paired_differences(variant, baseline)
    return _estimate(last, mean, variant.are_successes), _estimate(area, mean, variant.are_successes)


def paired_differences(variant: Scores, baseline: Scores) -> tuple[np.ndarray, np.ndarray]:
    """Differences to the baseline at the end, and in area (pairs,), of the seeds that both have run."""
    common = [seed for seed in variant.seeds if seed in baseline.seeds]
    ours, theirs = (one.of_seeds(common) for one in (variant, baseline))
    return variant.last[ours] - baseline.last[theirs], variant.area[ours] - baseline.area[theirs]


def _points(scores: Sequence[Scores], what: str) -> str:
    """The values at every evaluation."""
    heads = ("environment steps", *(f"{what}, `{one.variant}`" for one in scores))
    rows = [
        (f"{steps:,}", *(_estimate(one.values[:, point], iqm, one.are_successes) for one in scores))
        for point, steps in enumerate(scores[0].steps)
    ]
    return _table(heads, rows)


def _estimate(values: np.ndarray, statistic: Statistic, percent: bool) -> str:
    """A statistic of runs (runs,) with its interval, in words; a dash without runs."""
    if not len(values):
        return "–"
    estimates = (statistic(values, 0), *bootstrap_interval([values], statistic))
    middle, low, high = (100.0 * float(value) if percent else float(value) for value in estimates)
    digits, unit = (0, " %") if percent else (2, "")
    interval = "" if np.isnan(low) else f" ({low:z.{digits}f} to {high:z.{digits}f})"
    return f"{middle:z.{digits}f}{unit}{interval}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = (heads, ["---"] * len(heads), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
