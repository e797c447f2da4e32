"""The picture of a table: scores against environment steps and against CPU-seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.learning.intervals import bootstrap_interval, iqm
from benchmarks.learning.scores import Scores
from rl.plots.learning_curves import RETURN_LABEL, STEPS_LABEL, SUCCESS_LABEL
from rl.plots.pictures import COLORS, label_axes

CPU_LABEL = "CPU-seconds of the training (one thread)"
_POINTS = 60
_LINES = ("-", "--", ":")
"""Style of the lines when the colours are used once, twice, three times."""


def draw_scores(measures: Sequence[Sequence[Scores]], picture: Path) -> None:
    """Draw of each variant the interquartile mean, its 95 % interval, and a thin line for each run.

    Args:
        measures: a row of the picture each, of at least one variant.
        picture: PNG to write.
    """
    figure = Figure(figsize=(11.0, 4.2 * len(measures)), layout="constrained", facecolor="white")
    rows = figure.subplots(len(measures), 2, sharex="col", sharey="row", squeeze=False)
    for (by_steps, by_cpu), variants in zip(rows, measures, strict=True):
        _draw_measure(by_steps, by_cpu, variants)
    label_axes(rows[-1][0], STEPS_LABEL, rows[-1][0].get_ylabel())
    label_axes(rows[-1][1], CPU_LABEL, "")
    rows[0][0].legend(frameon=False, fontsize=9)
    figure.savefig(picture, dpi=90, metadata={"Software": None}, pil_kwargs={"optimize": True})


def _draw_measure(by_steps: Axes, by_cpu: Axes, variants: Sequence[Scores]) -> None:
    are_successes = variants[0].are_successes
    for index, scores in enumerate(variants):
        color, line = COLORS[index % len(COLORS)], _LINES[index // len(COLORS)]
        scale = 100.0 if are_successes else 1.0
        label = f"{scores.variant}, {len(scores.seeds)} runs"
        _draw(by_steps, scores.steps / 1000, scale * scores.values, color, line, label)
        _draw(by_cpu, *over_cpu_seconds(scores, scale), color, line, label)
    label_axes(by_steps, "", SUCCESS_LABEL if are_successes else RETURN_LABEL)
    label_axes(by_cpu, "", "")
    if are_successes:
        by_steps.set_ylim(-3, 103)


def over_cpu_seconds(scores: Scores, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """CPU-seconds (points,) that all runs have spent, and the values (runs, points), straight between evaluations."""
    cpu_s = np.linspace(scores.cpu_s[:, 0].max(), scores.cpu_s[:, -1].min(), _POINTS)
    runs = zip(scores.cpu_s, scores.values, strict=True)
    return cpu_s, scale * np.array([np.interp(cpu_s, spent_s, values) for spent_s, values in runs])


def _draw(axes: Axes, places: np.ndarray, values: np.ndarray, color: str, line: str, label: str) -> None:
    axes.plot(places, values.T, color=color, linewidth=0.7, alpha=0.4)
    low, high = bootstrap_interval([values], iqm)
    axes.fill_between(places, low, high, color=color, alpha=0.18, linewidth=0)
    axes.plot(places, iqm(values), color=color, linestyle=line, linewidth=2.2, label=label)
