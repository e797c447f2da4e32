"""Laws of `RecentPlaces`: how far and how fast an arm went, whoever measures it, and in which order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from robotkit.devices.recent_places import RecentPlaces

PERIOD_S = 0.02
TIMES_S = PERIOD_S * np.arange(12)


def joints(place_rad: float) -> np.ndarray:
    return place_rad * np.eye(7)[3]


def ways(places_rad: np.ndarray, times_s: np.ndarray = TIMES_S) -> list[float | None]:
    """The largest way in the window, from the first sample on."""
    places, found = RecentPlaces(), []
    for time_s, place_rad in zip(times_s, places_rad, strict=True):
        places.add(float(time_s), joints(place_rad))
        way = places.newest_way()
        found.append(None if way is None else way.largest_rad)
    return found


def test_nothing_is_said_before_the_window_is_full():
    assert ways(np.full(12, 0.4)) == [None] * 5 + [0.0] * 7


def test_what_turns_back_within_the_window_has_gone_a_way():
    assert min(ways(0.01 * np.sin(2.0 * np.pi * TIMES_S / 0.1))[6:]) > 0.018


def test_what_comes_to_rest_has_gone_no_way_one_window_later():
    found = ways(np.minimum(0.5 * TIMES_S, 0.5 * TIMES_S[3]))
    assert min(found[5:8]) > 0.009
    assert found[8:] == [0.0] * 4


def test_a_measurement_that_is_repeated_tells_nothing():
    assert ways(np.zeros(12), np.zeros(12)) == [None] * 12


@pytest.mark.parametrize("period_s", [0.001, 0.004, 0.01, 0.05, 0.125])
def test_the_speed_is_that_of_the_fastest_joint_up_to_the_newest_measurement(period_s):
    places = RecentPlaces()
    for time_s in np.arange(0.0, 0.5, period_s):
        places.add(float(time_s), np.array((0.1, -0.7, 0.3)) * time_s)
    way = places.newest_way()
    assert way.speed_rad_s == pytest.approx(0.7)
    assert way.largest_rad == pytest.approx(0.7 * way.span_s)
    assert 0.1 <= way.span_s <= 0.111 + period_s
    places.add(float(time_s) + period_s, np.full(3, 5.0))
    assert places.newest_way().largest_rad > 4.0, "the newest counts at once"


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_b3_measurements_that_overtake_each_other_hide_no_motion(order):
    """Four threads measure beside each other, and hand over in any order."""
    places = RecentPlaces()
    for first in range(0, 60, 4):
        for index in order:
            time_s = 0.005 * (first + index)
            places.add(time_s, joints(0.5 * time_s))
            way = places.newest_way()
            if first >= 28:
                assert way.speed_rad_s == pytest.approx(0.5)
                assert 0.1 <= way.span_s <= 0.13


@pytest.mark.parametrize("late_s", [0.0, 0.001, 0.299])
def test_b3_a_late_measurement_is_left_out(late_s):
    places = RecentPlaces()
    for time_s in TIMES_S:
        places.add(float(time_s), joints(0.5 * time_s))
    way = places.newest_way()
    places.add(float(TIMES_S[-1]) - late_s, joints(9.0))
    assert places.newest_way() == way


@pytest.mark.parametrize("jump_s", [-100.0, -0.31, 0.31, 100.0])
def test_b3_places_of_before_a_gap_or_another_clock_say_nothing(jump_s):
    places = RecentPlaces()
    for time_s in TIMES_S:
        places.add(float(time_s), joints(0.0))
    for index in range(5):
        places.add(float(TIMES_S[-1]) + jump_s + index * PERIOD_S, joints(0.0))
        assert places.newest_way() is None
    places.add(float(TIMES_S[-1]) + jump_s + 0.11, joints(0.0))
    assert places.newest_way().speed_rad_s == 0.0


def test_of_an_arm_that_is_measured_a_thousand_times_a_second_few_places_are_kept():
    places = RecentPlaces()
    for index in range(1000):
        places.add(0.001 * index, joints(0.5 * index))
    assert len(places._seen) <= 0.3 / 0.01 + 2
