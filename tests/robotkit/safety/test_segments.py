"""Distances between segments, held against a search over both segments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from robotkit.safety.segments import segment_distances

coordinates = st.floats(-1.0, 1.0, allow_subnormal=False)
segments = st.lists(coordinates, min_size=6, max_size=6).map(lambda values: np.array(values).reshape(2, 3))


def searched(first: np.ndarray, second: np.ndarray) -> float:
    """The squared distance is convex in both fractions, so that a bounded search finds its minimum."""

    def gap(fractions: np.ndarray) -> float:
        a, b = fractions
        return float(np.sum((first[0] + a * (first[1] - first[0]) - second[0] - b * (second[1] - second[0])) ** 2))

    starts = [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0)]
    return min(minimize(gap, start, bounds=[(0, 1), (0, 1)], tol=1e-14).fun for start in starts) ** 0.5


@given(segments, segments)
def test_it_is_the_smallest_distance_between_their_points(first, second):
    assert segment_distances(first, second) == pytest.approx(searched(first, second), abs=1e-4)


@given(segments, segments)
def test_neither_the_order_nor_the_direction_matters(first, second):
    distance_m = segment_distances(first, second)
    for a, b in ((second, first), (first[::-1], second), (first, second[::-1])):
        assert segment_distances(a, b) == pytest.approx(distance_m, abs=1e-6)


@pytest.mark.parametrize(
    ("first", "second", "distance_m"),
    [
        ([(0, 0, 0), (1, 0, 0)], [(0.5, -1, 0.3), (0.5, 1, 0.3)], 0.3),
        ([(0, 0, 0), (1, 0, 0)], [(0.2, 0.4, 0), (5, 0.4, 0)], 0.4),
        ([(0, 0, 0), (1, 0, 0)], [(2, 0, 0), (3, 0, 0)], 1.0),
        ([(0, 0, 0), (1, 0, 0)], [(-1, 0, 0), (3, 0, 0)], 0.0),
        ([(0, 0, 0), (1, 0, 0)], [(0.5, 0.2, 0), (0.5, 0.2, 0)], 0.2),
        ([(0, 0, 0), (0, 0, 0)], [(0, 3, 4), (0, 3, 4)], 5.0),
    ],
    ids=["crossing", "parallel", "in one line", "overlapping", "a point", "two points"],
)
def test_cases_that_can_be_seen(first, second, distance_m):
    assert segment_distances(np.array(first, float), np.array(second, float)) == pytest.approx(distance_m, abs=1e-9)


@pytest.mark.parametrize("angle_rad", [3e-6, 1e-5, 3e-5])
@pytest.mark.parametrize("length_m", [0.1, 0.3])
def test_segments_that_are_nearly_parallel_are_as_near_as_where_they_cross(length_m, angle_rad):
    """Short ones too: what counts as parallel is an angle."""
    half = np.array((length_m / 2, 0.0, 0.0)), np.array((length_m / 2, angle_rad * length_m / 2, 0.0))
    first, second = (np.array((-end, end)) for end in half)
    assert segment_distances(first, second) < 1e-9


def test_many_at_once_are_each_by_itself():
    first, second = np.random.default_rng(0).normal(size=(2, 4, 7, 2, 3))
    together = segment_distances(first, second)
    for index in np.ndindex(4, 7):
        assert together[index] == pytest.approx(float(segment_distances(first[index], second[index])), abs=1e-12)
