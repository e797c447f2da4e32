"""Laws of the statistics of the learning benchmark."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.learning.intervals import area_under_curve, bootstrap_interval, expanded_tail, iqm, mean


def test_the_interquartile_mean_is_that_of_the_middle_half():
    assert iqm(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])) == 4.5
    assert iqm(np.array([900.0, 4.0, 2.0, 3.0, -700.0])) == 3.0
    assert iqm(np.array([1.0, 3.0])) == 2.0
    np.testing.assert_array_equal(iqm(np.array([[0.0, 8.0], [1.0, 1.0], [1.0, 1.0], [5.0, 1.0]])), [1.0, 1.0])


def test_the_area_is_the_mean_height_whatever_the_grid():
    steps = np.array([0.0, 10.0, 40.0, 100.0])
    np.testing.assert_allclose(area_under_curve(steps, np.array([[0.7] * 4, list(steps / 100)])), [0.7, 0.5])


@pytest.mark.parametrize("statistic", [mean, iqm])
def test_an_interval_holds_the_true_mean_as_often_as_it_says(statistic):
    rng = np.random.default_rng(0)
    for runs in (5, 10, 20):
        hits = 0
        for trial in range(300):
            low, high = bootstrap_interval([rng.normal(0.5, 0.2, runs)], statistic, seed=trial)
            hits += bool(low <= 0.5 <= high)
        assert 0.91 <= hits / 300 <= 0.99, runs


def test_an_interval_lies_in_strata_of_their_own():
    """Runs of an easy and of a hard task: how they differ between the tasks adds nothing to the interval."""
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(300):
        easy, hard = rng.normal(0.9, 0.02, 10), rng.normal(0.1, 0.02, 10)
        low, high = bootstrap_interval([easy, hard], mean, seed=trial)
        assert high - low < 0.05
        hits += bool(low <= 0.5 <= high)
    assert 0.91 <= hits / 300 <= 0.99


def test_an_interval_contains_its_estimate_and_moves_and_grows_with_the_values():
    values = np.random.default_rng(0).uniform(size=(6, 3))
    low, high = bootstrap_interval([values], mean)
    assert ((low < values.mean(0)) & (values.mean(0) < high)).all()
    moved_low, moved_high = bootstrap_interval([2.0 * values + 1.0], mean)
    np.testing.assert_allclose([moved_low, moved_high], [2.0 * low + 1.0, 2.0 * high + 1.0])


def test_runs_that_do_not_differ_have_an_interval_of_no_width():
    low, high = bootstrap_interval([np.full(5, 0.25)], iqm)
    assert (low, high) == (0.25, 0.25)


def test_one_run_has_no_interval():
    low, high = bootstrap_interval([np.ones((1, 4))], mean)
    assert np.isnan([low, high]).all()
    assert low.shape == (4,)


def test_many_runs_need_no_wider_percentiles():
    tails = [expanded_tail(runs) for runs in (2, 3, 5, 10, 100, 100_000)]
    assert tails == sorted(tails)
    assert tails[-1] == pytest.approx(0.025, abs=1e-5)
