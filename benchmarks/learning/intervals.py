"""Statistics over runs: interquartile means, areas under curves, and bootstrap intervals for few runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.integrate import trapezoid
from scipy.stats import norm, t, trim_mean

Statistic = Callable[[np.ndarray, int], np.ndarray]
"""Function from values and the axis of the runs to one value for all runs."""

RESAMPLES = 5_000
CONFIDENCE = 0.95


def iqm(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Interquartile mean: the mean without the lowest and the highest quarter of the runs, rounded down.

    Agarwal et al. 2021 (arXiv:2108.13264).
    """
    return np.asarray(trim_mean(values, 0.25, axis=axis))


def mean(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """The mean over runs."""
    return np.asarray(np.mean(values, axis=axis))


def area_under_curve(steps: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Mean height of curves (…, points) over steps (points,), straight between two points."""
    return np.asarray(trapezoid(scores, steps, axis=-1) / (steps[-1] - steps[0]))


def bootstrap_interval(
    strata: Sequence[np.ndarray], statistic: Statistic, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of a statistic over runs, by the stratified percentile bootstrap.

    Runs are drawn with replacement within each stratum (Agarwal et al. 2021, arXiv:2108.13264). The percentiles lie
    farther out than 2.5 and 97.5, because those of few runs are too close: the expanded percentile interval of
    Hesterberg 2015 (arXiv:1411.5279).

    Args:
        strata: for each task the values of its runs (runs, …).
        statistic: what is computed of all runs.
        seed: of the draws.

    Returns:
        Lower and upper bounds (…); nan where a stratum has one run only.
    """
    runs = min(len(values) for values in strata)
    if runs < 2:
        nothing = np.full(strata[0].shape[1:], np.nan)
        return nothing, nothing
    rng = np.random.default_rng(seed)
    drawn = [values[rng.integers(len(values), size=(RESAMPLES, len(values)))] for values in strata]
    results = statistic(np.concatenate(drawn, axis=1), 1)
    tail = expanded_tail(runs)
    return np.quantile(results, tail, axis=0), np.quantile(results, 1.0 - tail, axis=0)


def expanded_tail(runs: int) -> float:
    """Share of the resamples below the lower bound, for so many runs; see `bootstrap_interval`."""
    quantile = float(t.ppf((1.0 - CONFIDENCE) / 2.0, runs - 1))
    return float(norm.cdf(math.sqrt(runs / (runs - 1)) * quantile))
