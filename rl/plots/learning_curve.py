"""The learning curve of a run, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from rl.plots.learning_curves import STEPS_LABEL, SUCCESS_LABEL
from rl.plots.pictures import COLORS, label_axes
from rl.utils.metrics_file import read_metrics


def series(rows: list[dict[str, Any]], key: str, scale: float = 1.0) -> tuple[list[float], list[float]]:
    """Thousands of steps, and the scaled values of one metric."""
    found = [(row["step"] / 1000, scale * row[key]) for row in rows if key in row]
    return [step for step, _ in found], [value for _, value in found]


def last_step(metrics: Path) -> int:
    """Environment steps at the end of a run."""
    last: int = max(row["step"] for row in read_metrics(metrics))
    return last


def draw_curve(metrics: Path, picture: Path, expert_return: float) -> None:
    """Draw return and success of one run over environment steps.

    Args:
        metrics: the run's JSON lines.
        picture: PNG to write.
        expert_return: mean return of the demonstrations, drawn as a line.
    """
    rows = read_metrics(metrics)
    figure = Figure(figsize=(10, 4), layout="constrained", facecolor="white")
    returns, success = figure.subplots(1, 2)
    returns.plot(*series(rows, "episode/return"), ".", color="0.75", markersize=3, label="training episode")
    returns.plot(*series(rows, "evaluation/return_mean"), "-o", color=COLORS[0], markersize=4, label="evaluation, mean")
    returns.axhline(expert_return, color=COLORS[2], linestyle="--", label="scripted expert, mean")
    label_axes(returns, STEPS_LABEL, "return of an episode\n(sum of rewards)")
    returns.set_ylim(0, None)
    returns.legend(framealpha=0.9, edgecolor="none")
    steps, low = series(rows, "evaluation/success_low", 100.0)
    _, high = series(rows, "evaluation/success_high", 100.0)
    success.fill_between(steps, low, high, color=COLORS[0], alpha=0.18, linewidth=0, label="95 % confidence interval")
    rate = series(rows, "evaluation/success_rate", 100.0)
    success.plot(*rate, "-o", color=COLORS[0], markersize=4, label="evaluation")
    label_axes(success, STEPS_LABEL, SUCCESS_LABEL)
    success.set_ylim(-3, 103)
    success.legend(frameon=False, loc="lower right")
    figure.savefig(picture, dpi=150)
