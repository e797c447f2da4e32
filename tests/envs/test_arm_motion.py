"""Laws of `ArmMotion`: the way of the tool is straight, goes in small steps, and leads into its box."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from envs.tasks.arm_motion import ArmMotion
from envs.tasks.reach_pose import REACH_POSE
from robotkit import spatial
from robotkit.workspace import distance_outside, is_inside

UNIT = arrays(np.float64, 3, elements=st.floats(-1.0, 1.0))


@given(start=UNIT, end=UNIT, turn=UNIT)
def test_the_way_to_the_start_is_straight_short_and_inside(start, end, turn):
    box = REACH_POSE.workspace
    motion = ArmMotion(box, 0.1, speed_m_s=0.1, speed_rad_s=0.5)
    middle, half = (box.position_max_m + box.position_min_m) / 2, (box.position_max_m - box.position_min_m) / 2
    begin = spatial.make_pose(middle + start * half, REACH_POSE.start[3:])
    goal = spatial.integrate_delta(begin, end * half - start * half, 0.3 * turn)
    way = motion.targets(begin, goal)
    assert np.array_equal(way[-1], goal)
    for before, after in zip([begin, *way], way, strict=False):
        assert is_inside(after, box)
        assert np.linalg.norm(after[3:]) == pytest.approx(1.0, abs=1e-9)
        assert spatial.distance_between(before, after) <= 0.01 + 1e-9
        assert spatial.angle_between(before[3:], after[3:]) <= 0.05 + 1e-9
    length = sum(spatial.distance_between(*pair) for pair in zip([begin, *way], way, strict=False))
    assert length == pytest.approx(spatial.distance_between(begin, goal), abs=1e-9)


@given(offset=UNIT, turn=UNIT)
def test_a_way_that_starts_outside_leads_in_by_small_steps_and_stays_inside(offset, turn):
    box = REACH_POSE.workspace
    motion = ArmMotion(box, 0.1, speed_m_s=0.1, speed_rad_s=0.5)
    begin = spatial.integrate_delta(REACH_POSE.start, 0.6 * offset, 1.5 * turn)
    way = motion.targets(begin, REACH_POSE.start)
    assert np.array_equal(way[-1], REACH_POSE.start)
    was_m, was_rad = distance_outside(begin, box)
    for before, after in zip([begin, *way], way, strict=False):
        assert spatial.distance_between(before, after) <= 0.01 + 1e-9
        assert spatial.angle_between(before[3:], after[3:]) <= 0.05 + 1e-9
        now_m, now_rad = distance_outside(after, box)
        assert now_m <= was_m + 1e-9
        assert now_rad <= was_rad + 1e-6
        assert now_m + now_rad < was_m + was_rad or was_m + was_rad < 1e-9
        was_m, was_rad = now_m, now_rad
