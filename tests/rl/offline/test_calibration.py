"""Laws of the temperature of a classifier, and of the figures that tell how far to believe its probabilities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from rl.offline.calibration import (
    calibration_error,
    calibration_figures,
    class_weights,
    cross_entropy,
    fit_temperature,
)

LOGITS = st.floats(-30.0, 30.0, allow_subnormal=False)
JUDGED = st.lists(st.tuples(LOGITS, st.booleans()), min_size=2, max_size=40)


def arrays(judged):
    logits = torch.tensor([[logit] for logit, _ in judged], dtype=torch.double)
    return logits, np.array([float(label) for _, label in judged], np.float32)


def overconfident(true_temperature: float, frames: int = 4000):
    """Frames whose success is drawn from their logits, which are then told too large by a factor."""
    random = np.random.default_rng(0)
    logits = random.normal(0.0, 2.0, frames)
    labels = (random.uniform(size=frames) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    return torch.from_numpy(true_temperature * logits)[:, None], labels


@given(JUDGED)
def test_the_order_stays_and_the_cross_entropy_of_the_frames_does_not_rise(judged):
    logits, labels = arrays(judged)
    temperature = fit_temperature(logits, labels)
    assert 1.0 <= temperature <= 100.0
    assert (torch.argsort(logits[:, 0], stable=True) == torch.argsort(logits[:, 0] / temperature, stable=True)).all()
    assert cross_entropy(logits / temperature, labels) <= cross_entropy(logits, labels) + 1e-12


@given(JUDGED, st.floats(1.0, 100.0))
def test_no_other_temperature_is_better(judged, other):
    logits, labels = arrays(judged)
    found = cross_entropy(logits / fit_temperature(logits, labels), labels)
    assert found <= cross_entropy(logits / other, labels) + 1e-9


@given(st.lists(st.tuples(st.floats(0.1, 30.0), st.booleans()), min_size=2, max_size=20))
def test_frames_without_an_error_sharpen_nothing(judged):
    logits, labels = arrays([(size if label else -size, label) for size, label in judged])
    assert fit_temperature(logits, labels) == 1.0


@given(JUDGED)
def test_two_classes_are_one_logit(judged):
    logits, labels = arrays(judged)
    both = torch.cat([torch.zeros_like(logits), logits], -1)
    assert fit_temperature(both, labels) == pytest.approx(fit_temperature(logits, labels))
    assert cross_entropy(both, labels) == pytest.approx(cross_entropy(logits, labels))


@pytest.mark.parametrize("factor", [1.5, 3.0, 10.0])
def test_the_factor_by_which_logits_are_too_large_is_found(factor):
    logits, labels = overconfident(factor)
    temperature = fit_temperature(logits, labels)
    assert temperature == pytest.approx(factor, rel=0.08)
    figures = calibration_figures(logits, labels, temperature)
    assert figures["calibration_error"] < 0.02 < figures["calibration_error_before"]
    assert figures["nll"] < figures["nll_before"]


def test_the_calibration_error_is_the_gap_between_probability_and_share():
    """Ten frames of each kind, all told 0.8: they come true in half of the cases."""
    logits = torch.full((20, 1), np.log(4.0))
    labels = np.repeat([0.0, 1.0], 10).astype(np.float32)
    assert calibration_error(logits, labels) == pytest.approx(0.3)


@given(JUDGED.filter(lambda judged: len({label for _, label in judged}) == 2), st.integers(2, 4))
def test_every_class_weighs_the_same_however_often_it_was_recorded(judged, times):
    logits, labels = arrays(judged)
    assume(labels.any())
    rows = np.concatenate([np.arange(len(labels)), *[np.flatnonzero(labels)] * (times - 1)])
    assert cross_entropy(logits[rows], labels[rows]) == pytest.approx(cross_entropy(logits, labels))
    assert calibration_error(logits[rows], labels[rows]) == pytest.approx(calibration_error(logits, labels), abs=1e-9)
    weights = class_weights(labels).numpy()
    assert weights.sum() == pytest.approx(1.0)
    assert weights[labels > 0].sum() == pytest.approx(0.5)
