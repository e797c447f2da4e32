"""Laws of targets that slide around a box instead of entering it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from envs.actions.keep_out import slide

LOW, HIGH = np.array((-1.0, -0.5, 0.0)), np.array((1.0, 0.5, 0.8))
POINTS = arrays(np.float64, 3, elements=st.floats(-2.0, 2.0, width=32))


def is_in(point):
    return bool(((point > LOW + 1e-9) & (point < HIGH - 1e-9)).all())


@given(POINTS, POINTS)
def test_a_way_from_outside_never_ends_inside(start, end):
    if not is_in(start):
        assert not is_in(slide(start, end, LOW, HIGH))


@given(POINTS, POINTS)
def test_a_way_that_misses_the_box_is_left_alone(start, end):
    way = start + np.linspace(0.0, 1.0, 400)[:, None] * (end - start)
    slid = slide(start, end, LOW - 0.02, HIGH + 0.02)
    if not any(((point > LOW - 0.03) & (point < HIGH + 0.03)).all() for point in way):
        np.testing.assert_array_equal(slid, end)


@given(POINTS, POINTS)
def test_only_the_number_across_the_face_changes(start, end):
    if not is_in(start):
        assert np.count_nonzero(slide(start, end, LOW, HIGH) != end) <= 1


@given(POINTS, POINTS)
def test_a_start_inside_is_never_pushed_down(start, end):
    if is_in(start):
        slid = slide(start, end, LOW, HIGH)
        assert slid[2] >= start[2]
        np.testing.assert_array_equal(slid[:2], end[:2])


def test_leaning_against_the_wall_while_rising_rises():
    at_the_wall = np.array((0.0, -0.5, 0.2))
    np.testing.assert_array_equal(slide(at_the_wall, np.array((0.1, -0.4, 0.3)), LOW, HIGH), (0.1, -0.5, 0.3))
