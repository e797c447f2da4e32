"""How good a success classifier is, and where its threshold goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from rl.common.evaluation import wilson_interval
from rl.errors import DataError


@dataclass(frozen=True)
class ConfusionCounts:
    """The counts of a classifier's right and wrong predictions on labelled frames."""

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int

    @classmethod
    def of(cls, probabilities: np.ndarray, labels: np.ndarray, threshold: float) -> ConfusionCounts:
        """Count them: success is a probability of at least `threshold`.

        Args:
            probabilities: of success (N,).
            labels: 1 or 0 (N,).
            threshold: in [0, 1].
        """
        said, true = probabilities >= threshold, labels > 0
        counts = (said & true, said & ~true, ~said & ~true, ~said & true)
        return cls(*(int(np.count_nonzero(count)) for count in counts))

    @property
    def confusion(self) -> np.ndarray:
        """Frames (2, 2), rows by truth and columns by prediction, no success first."""
        return np.array([
            [self.true_negatives, self.false_positives],
            [self.false_negatives, self.true_positives],
        ])  # fmt: skip

    def rates(self) -> dict[str, float]:
        """Shares in [0, 1]; one without frames to count is 0.

        `balanced_accuracy_low` is the lower end of the 95 % interval of `balanced_accuracy`; at 0.5 or below it the
        classifier may as well guess. `false_positive_rate_high` is the upper end of that of `false_positive_rate`.
        """
        positives, negatives = self.true_positives + self.false_negatives, self.true_negatives + self.false_positives
        recall, specificity = _share(self.true_positives, positives), _share(self.true_negatives, negatives)
        _, high = wilson_interval(self.false_positives, negatives) if negatives else (0.0, 1.0)
        return {
            "accuracy": _share(self.true_positives + self.true_negatives, sum(asdict(self).values())),
            "balanced_accuracy": (recall + specificity) / 2,
            "balanced_accuracy_low": _mean_low([(self.true_positives, positives), (self.true_negatives, negatives)]),
            "precision": _share(self.true_positives, self.true_positives + self.false_positives),
            "recall": recall,
            "false_positive_rate": 1 - specificity,
            "false_positive_rate_high": high,
        }


def class_rates(confusion: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """The rates of an n-way classifier, as those of `ConfusionCounts`, with the recall of each class.

    Args:
        confusion: frames (classes, classes), rows by truth and columns by prediction.
        names: of the classes.
    """
    right, frames = confusion.diagonal(), confusion.sum(1)
    counts = [(int(part), int(whole)) for part, whole in zip(right, frames, strict=True)]
    recalls = [_share(part, whole) for part, whole in counts]
    return {
        "accuracy": _share(int(right.sum()), int(frames.sum())),
        "balanced_accuracy": sum(recalls) / len(names),
        "balanced_accuracy_low": _mean_low(counts),
        **{f"recall/{name}": rate for name, rate in zip(names, recalls, strict=True)},
    }


def choose_threshold(
    probabilities: np.ndarray, labels: np.ndarray, most_false_positives: float, least: float = 0.5
) -> float:
    """The lowest threshold, from `least` on, at which at most a share of the negatives passes for success.

    A reward that is paid for nothing is learned faster than the task, so false positives are what is bounded.

    Args:
        probabilities: of success (N,).
        labels: 1 or 0 (N,).
        most_false_positives: that share.
        least: lowest answer.

    Raises:
        DataError: there are no negatives.
    """
    negatives = np.sort(probabilities[labels == 0])[::-1]
    if not len(negatives):
        raise DataError("a threshold needs negative frames that were not trained on")
    allowed = int(most_false_positives * len(negatives))
    if allowed >= len(negatives):
        return least
    return float(max(least, np.nextafter(negatives[allowed], np.float64(2.0))))


def _mean_low(counts: Sequence[tuple[int, int]]) -> float:
    """The lower end of the 95 % interval of the mean of shares, each given as a part and its whole.

    Newcombe 1998 (Statistics in Medicine 17, method 10) combines Wilson's intervals so: unlike the variance of a share,
    they do not vanish where few frames are all right.
    """
    shares = [_share(part, whole) for part, whole in counts]
    lows = [wilson_interval(part, whole)[0] if whole else 0.0 for part, whole in counts]
    spread = math.sqrt(sum((share - low) ** 2 for share, low in zip(shares, lows, strict=True)))
    return max(0.0, (sum(shares) - spread) / len(shares))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
