"""Means, deviations and bounds of a LeRobotDataset's columns, which its policies normalise with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Summary = dict[str, np.ndarray]
"""min, max, mean, std and count of one column."""


class Statistics:
    """Adds up episodes; images count by channel, in [0, 1]."""

    def __init__(self) -> None:
        self._columns: dict[str, Summary] = {}

    def add(self, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Take one episode's columns (n, …) in.

        Returns:
            The episode's own statistics by `stats/<column>/<statistic>`.
        """
        own = {name: summarize(array) for name, array in columns.items()}
        for name, summary in own.items():
            known = self._columns.get(name)
            self._columns[name] = summary if known is None else merge(known, summary)
        return {f"stats/{name}/{kind}": value.tolist() for name, found in own.items() for kind, value in found.items()}

    def as_json(self) -> dict[str, dict[str, Any]]:
        """All episodes together, as `stats.json` holds it."""
        return {
            name: {kind: value.tolist() for kind, value in summary.items()} for name, summary in self._columns.items()
        }


def summarize(array: np.ndarray) -> Summary:
    """Statistics of one column (n, …) over its rows; of images (n, height, width, 3) over their pixels too."""
    images = array.ndim == 4
    axes = (0, 1, 2) if images else (0,)
    values = array.astype(np.float64) / (255.0 if images else 1.0)
    values = values[:, None] if values.ndim == 1 else values
    found = {
        "min": values.min(axes),
        "max": values.max(axes),
        "mean": values.mean(axes),
        "std": values.std(axes),
    }
    shaped = {kind: value.reshape(-1, 1, 1) if images else value for kind, value in found.items()}
    return shaped | {"count": np.array([len(array)])}


def merge(first: Summary, second: Summary) -> Summary:
    """Statistics of two sets of rows together. Chan et al. 1979, eq. 2.1."""
    rows = first["count"] + second["count"]
    share = second["count"] / rows
    mean = first["mean"] + share * (second["mean"] - first["mean"])
    within = (1 - share) * first["std"] ** 2 + share * second["std"] ** 2
    between = share * (1 - share) * (second["mean"] - first["mean"]) ** 2
    return {
        "min": np.minimum(first["min"], second["min"]),
        "max": np.maximum(first["max"], second["max"]),
        "mean": mean,
        "std": np.sqrt(within + between),
        "count": rows,
    }
