"""Laws of thresholds and confusion matrices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.common.evaluation import wilson_interval
from rl.errors import DataError
from rl.offline.confusion_counts import ConfusionCounts, choose_threshold

PROBABILITIES = st.floats(0.0, 1.0, allow_subnormal=False)
PREDICTIONS = st.lists(st.tuples(PROBABILITIES, st.booleans()), min_size=1, max_size=40)


def arrays(predictions):
    return np.array([p for p, _ in predictions]), np.array([float(label) for _, label in predictions])


@given(PREDICTIONS, PROBABILITIES)
def test_every_frame_is_counted_once(predictions, threshold):
    probabilities, labels = arrays(predictions)
    counts = ConfusionCounts.of(probabilities, labels, threshold)
    assert counts.confusion.sum() == len(predictions)
    assert counts.confusion[1].sum() == labels.sum()
    assert counts.confusion[:, 1].sum() == (probabilities >= threshold).sum()
    assert all(0.0 <= rate <= 1.0 for rate in counts.rates().values())


@given(PREDICTIONS.filter(lambda predictions: not all(label for _, label in predictions)), st.floats(0.0, 0.9))
def test_the_threshold_is_the_lowest_that_keeps_the_promise(predictions, allowed):
    probabilities, labels = arrays(predictions)
    threshold = choose_threshold(probabilities, labels, allowed)
    negatives = probabilities[labels == 0]

    def passed(at):
        return np.count_nonzero(negatives >= at)

    assert threshold >= 0.5
    assert passed(threshold) <= allowed * len(negatives)
    if threshold > 0.5:
        assert passed(np.nextafter(threshold, 0.0)) > int(allowed * len(negatives))


def test_without_negatives_there_is_no_threshold():
    with pytest.raises(DataError, match="negative frames"):
        choose_threshold(np.ones(3), np.ones(3), 0.01)


def test_a_classifier_that_always_says_no_has_half_of_the_balanced_accuracy():
    rates = ConfusionCounts.of(np.zeros(10), np.array([1.0] + [0.0] * 9), 0.5).rates()
    assert rates["accuracy"] == 0.9
    assert rates["balanced_accuracy"] == 0.5
    assert rates["precision"] == rates["recall"] == 0.0


@pytest.mark.parametrize(
    ("counts", "is_chance"),
    [
        ((0, 0, 186, 14), True),  # 93 % of all frames, and never a success
        ((0, 9, 177, 14), True),  # balanced 47 %
        ((9, 60, 60, 7), True),
        ((14, 0, 186, 0), False),
        ((12, 4, 182, 2), False),
        ((140, 600, 1200, 60), False),  # balanced 68 %, of many frames
        ((1, 0, 5, 1), True),  # one of two successes tells little
        ((1, 0, 1, 0), True),  # two frames, both right
        ((0, 0, 9, 0), True),  # no success to know
        ((2, 4, 1, 1), True),
    ],
)
def test_u12_a_classifier_that_may_as_well_guess_is_known_whatever_share_of_frames_it_has_right(counts, is_chance):
    found = ConfusionCounts(*counts)
    low = found.rates()["balanced_accuracy_low"]
    assert (low <= 0.5) == is_chance
    assert low <= found.rates()["balanced_accuracy"]


@given(*[st.integers(0, 400)] * 4)
def test_the_interval_holds_the_figure_and_is_that_of_wilson_for_false_payments(tp, fp, tn, fn):
    rates = ConfusionCounts(tp, fp, tn, fn).rates()
    assert rates["balanced_accuracy_low"] <= rates["balanced_accuracy"]
    assert rates["false_positive_rate_high"] >= rates["false_positive_rate"] * (fp + tn > 0)
    if fp + tn:
        assert rates["false_positive_rate_high"] == wilson_interval(fp, fp + tn)[1]
