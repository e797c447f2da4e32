"""Laws of the token bucket in numbers."""

from __future__ import annotations

import numpy as np
import pytest

from robotkit.safety.budget import SpeedBudget


@pytest.fixture(params=["single", "array"])
def budget(request):
    """0.5 m/s over 0.2 s: at most 0.1 m at once."""
    return SpeedBudget(0.5 if request.param == "single" else np.full(2, 0.5), 0.2)


def left(budget, now_s):
    return float(np.max(budget.left(now_s)))


def test_it_begins_full_and_is_refilled_by_time_up_to_the_window(budget):
    assert left(budget, 7.0) == pytest.approx(0.1)
    budget.spend(0.08, 7.0)
    assert left(budget, 7.0) == pytest.approx(0.02)
    assert left(budget, 7.1) == pytest.approx(0.07)
    assert left(budget, 7.2) == pytest.approx(0.1)
    assert left(budget, 99.0) == pytest.approx(0.1)
    assert left(budget, 6.0) == pytest.approx(0.02), "time does not run backwards"


def test_what_is_spent_is_never_more_than_there_is(budget):
    budget.spend(5.0, 0.0)
    assert left(budget, 0.0) == 0.0
    assert left(budget, 0.1) == pytest.approx(0.05)


def test_what_was_only_asked_is_not_spent(budget):
    for now_s in (1.0, 1.0, 1.05):
        assert budget.allows(0.09, now_s)
    assert left(budget, 1.05) == pytest.approx(0.1)
    budget.allows(0.09, 1.1)
    budget.spend(0.09, 1.1)
    assert left(budget, 1.1) == pytest.approx(0.01)
    assert budget.allows(0.02, 1.2)
    budget.spend(0.02, 1.3)
    assert left(budget, 1.3) == pytest.approx(0.08), "spent at another time than it was asked for"


def test_twice_at_the_same_time_counts_twice(budget):
    for _ in range(2):
        assert budget.allows(0.05, 1.0)
        budget.spend(0.05, 1.0)
    assert not budget.allows(1e-6, 1.0)
    budget.spend(0.0, 1.0)
    assert left(budget, 1.0) == pytest.approx(0.0)


def test_the_answer_is_pythons_own_truth(budget):
    assert budget.allows(0.1, 0.0) is True
    assert budget.allows(0.1001, 0.0) is False
    assert budget.allows(0.1 * (1.0 + 1e-10), 0.0) is True, "rounding"


def test_each_joint_has_a_budget_of_its_own():
    joints = SpeedBudget(np.array((1.0, 2.0)), 0.1)
    assert not joints.allows(np.array((0.15, 0.15)), 0.0)
    assert joints.allows(np.array((0.1, 0.2)), 0.0)
    joints.spend(np.array((0.1, 0.0)), 0.0)
    np.testing.assert_allclose(joints.left(0.0), (0.0, 0.2))
    np.testing.assert_allclose(joints.left(0.05), (0.05, 0.2))


def test_b8_another_speed_gives_no_way_anew(budget):
    scale = budget.speed / 0.5
    budget.spend(0.08, 7.0)
    budget.change_speed(1.0 * scale)
    assert left(budget, 7.0) == pytest.approx(0.12), "0.2 m at once, less what was spent"
    budget.change_speed(0.25 * scale)
    assert left(budget, 7.0) == 0.0
    assert left(budget, 7.1) == pytest.approx(0.025)


def test_what_goes_nowhere_is_allowed_also_when_all_is_spent(budget):
    budget.spend(0.1, 7.0)
    assert budget.allows(budget.speed * 0.0, 7.0)
    assert not budget.allows(1e-12, 7.0)
