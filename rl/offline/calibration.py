"""How far a classifier's probabilities are to be believed: its temperature, and the figures that tell."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_COLDEST, _HOTTEST = 1.0, 100.0
_HALVINGS = 60
_BINS = 10


def fit_temperature(logits: Tensor, labels: np.ndarray) -> float:
    """The temperature, 1 or more, whose division of the logits makes held-out frames the likeliest.

    Guo et al. 2017 (arXiv:1706.04599). Their order stays as it is. It is never below 1: frames without an error would
    ask for an infinite sharpness, which the next frame that is unlike them would belie.

    Args:
        logits: of success (N, 1), or of classes (N, classes), of frames that were not trained on.
        labels: 1 or 0, or the number of the class (N,).
    """
    whole, chosen, weights = _classes(logits), _rows(labels), class_weights(labels)

    def slope(sharpness: float) -> float:
        """Derivative of the cross-entropy, which is convex in the sharpness, one by the temperature."""
        expected = ((whole * sharpness).softmax(-1) * whole).sum(-1)
        return float((weights * (expected - whole[chosen])).sum())

    low, high = 1 / _HOTTEST, 1 / _COLDEST
    if slope(high) <= 0.0:
        return _COLDEST
    if slope(low) >= 0.0:
        return _HOTTEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0.0 else (middle, high)
    return 1 / low


def calibration_figures(logits: Tensor, labels: np.ndarray, temperature: float) -> dict[str, float]:
    """Cross-entropy in nats and expected calibration error, as they are after the temperature and as they were before.

    All classes weigh the same in them, as in the batches that trained: a recording has as many frames of each as it
    happens to have.
    """
    figures = {"nll": cross_entropy(logits / temperature, labels), "nll_before": cross_entropy(logits, labels)}
    after, before = (calibration_error(one, labels) for one in (logits / temperature, logits))
    return figures | {"calibration_error": after, "calibration_error_before": before}


def cross_entropy(logits: Tensor, labels: np.ndarray) -> float:
    """Mean negative logarithm, in nats, of the probability of what was true, over classes of equal weight."""
    return -float((class_weights(labels) * _classes(logits).log_softmax(-1)[_rows(labels)]).sum())


def calibration_error(logits: Tensor, labels: np.ndarray) -> float:
    """How far, on average, a probability is from the share of frames that it came true for, in ten equal bins.

    Of two classes the probability is that of success, of more it is that of the likeliest class.
    """
    shares = _classes(logits).softmax(-1)
    truth = torch.from_numpy(labels).long()
    sure, predicted = (shares[:, 1], 1) if logits.shape[-1] == 1 else shares.max(-1)
    right = (truth == predicted).double()
    weights = class_weights(labels)
    bins = (sure * _BINS).long().clamp(max=_BINS - 1)
    gaps = torch.zeros(_BINS, dtype=torch.double).index_add_(0, bins, weights * (sure - right))
    return float(gaps.abs().sum())


def class_weights(labels: np.ndarray) -> Tensor:
    """Weights (N,), 1 in all, with which every class that is there counts the same."""
    _, kinds, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return torch.from_numpy(1.0 / (counts[kinds] * len(counts)))


def _classes(logits: Tensor) -> Tensor:
    """Logits of all classes, double; a single one is that of success against 0."""
    whole = logits.double()
    return torch.cat([torch.zeros_like(whole), whole], -1) if whole.shape[-1] == 1 else whole


def _rows(labels: np.ndarray) -> tuple[Tensor, Tensor]:
    """Index of the true class's logit in each row."""
    return torch.arange(len(labels)), torch.from_numpy(labels).long()
