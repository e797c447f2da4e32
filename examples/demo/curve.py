"""The learning curve of a run, as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def series(rows: list[dict[str, Any]], key: str) -> tuple[list[float], list[float]]:
    """Steps and values of one metric."""
    found = [(row["step"], row[key]) for row in rows if key in row]
    return [step for step, _ in found], [value for _, value in found]


def last_step(metrics: Path) -> int:
    """Environment steps at the end of a run."""
    return max(row["step"] for row in read_metrics(metrics))


def draw_curve(metrics: Path, picture: Path, expert_return: float) -> None:
    """Draw return and success over environment steps.

    Args:
        metrics: the run's JSON lines.
        picture: PNG to write.
        expert_return: mean return of the demonstrations, drawn as a line.
    """
    rows = read_metrics(metrics)
    figure, (returns, success) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    returns.plot(*series(rows, "episode/return"), ".", color="0.75", markersize=3, label="training episode")
    returns.plot(*series(rows, "evaluation/return_mean"), "-o", color="tab:blue", markersize=3, label="evaluation")
    returns.axhline(expert_return, color="tab:green", linestyle="--", label="scripted expert")
    returns.set(xlabel="environment steps", ylabel="return of an episode", ylim=(0, None))
    returns.legend(frameon=False)
    success.plot(*series(rows, "evaluation/success_rate"), "-o", color="tab:blue", markersize=3)
    success.set(xlabel="environment steps", ylabel="success rate", ylim=(0, 1.05))
    for axes in (returns, success):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=150)
    plt.close(figure)
