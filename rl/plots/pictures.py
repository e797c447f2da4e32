"""Pictures of an offline training: its curve, a confusion matrix, and the frames that were misjudged the worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rl.utils.images import fit_square
from rl.utils.metrics_file import read_metrics

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Colours that colour-blind people tell apart too. Okabe and Ito 2008, Color Universal Design."""


def draw_curves(metrics: Path, picture: Path, panels: Mapping[str, Sequence[str]]) -> None:
    """Draw metrics over epochs, side by side; an axis whose values span two powers of ten or more is logarithmic.

    Args:
        metrics: JSON lines; each has `step`, the epoch.
        picture: PNG to write.
        panels: metrics of each panel, such as train/loss and held_out/loss, by its label.
    """
    # A run that was stopped between two checkpoints repeats epochs: the later line is the one that counts.
    rows = {row["step"]: row for row in read_metrics(metrics)}
    figure = Figure(figsize=(4.8 * len(panels), 3.4), layout="constrained")
    for axes, (label, names) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True):
        drawn: list[tuple[float, float]] = []
        for name, color in zip(names, COLORS, strict=False):
            points = [(step, row[name]) for step, row in sorted(rows.items()) if row.get(name) is not None]
            axes.plot(*zip(*points, strict=True) if points else ((), ()), color=color, linewidth=1.2,
                      label={"train": "training", "held_out": "held out"}[name.partition("/")[0]])  # fmt: skip
            drawn += points
        xs, ys = zip(*drawn, strict=True) if drawn else ((), ())
        axes.set(xscale=_scale(xs), yscale=_scale(ys))
        label_axes(axes, "epoch", label)
        axes.legend(frameon=False)
    figure.savefig(picture, dpi=150)


def label_axes(axes: Axes, x_label: str, y_label: str) -> None:
    """Give axes their labels and a light grid."""
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _scale(values: Sequence[float]) -> str:
    return "log" if values and 0.0 < 100.0 * min(values) <= max(values) else "linear"


def draw_confusion(
    counts: np.ndarray, picture: Path, title: str, names: Sequence[str] = ("no success", "success")
) -> None:
    """Draw a confusion matrix.

    Args:
        counts: frames (classes, classes), rows by truth, columns by prediction.
        picture: PNG to write.
        title: what it shows.
        names: of the classes.
    """
    figure = Figure(figsize=(4.4, 4.0), layout="constrained")
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for (row, column), count in np.ndenumerate(counts):
        shade = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{count}\n{shares[row, column]:.1%}", ha="center", va="center", color=shade)
    ticks = range(len(names))
    axes.set(xticks=ticks, xticklabels=names, yticks=ticks, yticklabels=names, xlabel="prediction", ylabel="truth")
    axes.set_title(title, fontsize=9)
    figure.savefig(picture, dpi=150)


def side_by_side(images: Sequence[np.ndarray], side: int = 96) -> np.ndarray:
    """Images (height, width, 1 or 3) of several cameras as one image (side, side * cameras, 3)."""
    return np.concatenate([np.broadcast_to(fit_square(image, side), (side, side, 3)) for image in images], axis=1)


def draw_montage(images: Sequence[np.ndarray], captions: Sequence[str], picture: Path, columns: int = 6) -> None:
    """Draw images (height, width, 3), one or more of one shape, in a grid with a caption over each."""
    draw_montages({"": (images, captions)}, picture, columns)


def draw_montages(
    groups: Mapping[str, tuple[Sequence[np.ndarray], Sequence[str]]], picture: Path, columns: int = 6
) -> None:
    """Draw grids of images one below the other.

    Args:
        groups: images (height, width, 3) of one shape and a caption for each, by the title of their grid; at least one
            image in all.
        picture: PNG to write.
        columns: images in a line.
    """
    lines = {title: max(1, -(-len(images) // columns)) for title, (images, _) in groups.items()}
    height, width = next(images[0].shape[:2] for images, _ in groups.values() if len(images))
    heights = [(1.9 * height / width + 0.35) * lines[title] + 0.4 * bool(title) for title in groups]
    figure = Figure(figsize=(1.9 * columns, sum(heights)), layout="constrained")
    parts: Any = figure.subfigures(len(groups), 1, height_ratios=heights, squeeze=False)
    for part, (title, (images, captions)) in zip(parts.ravel(), groups.items(), strict=True):
        part.suptitle(title, fontsize=11)
        grid = np.atleast_1d(part.subplots(lines[title], columns)).ravel()
        for axes in grid:
            axes.axis("off")
        for axes, image, caption in zip(grid, images, captions, strict=False):
            axes.imshow(image)
            axes.set_title(caption, fontsize=9)
    figure.savefig(picture, dpi=120)
