"""When a joint motion has arrived: what counts is where the arm has stood for a tenth of a second of its own time."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers.franka.settling import wait_until_settled

GOAL_RAD = np.arange(7.0) / 10.0


class Link:
    """An arm's packets, 10 ms apart; `off_rad` tells how far the third joint is from the goal at a time."""

    def __init__(self, off_rad: Callable[[float], float]) -> None:
        self._off_rad = off_rad
        self.time_s = 50.0
        self.passed_s = 0.0

    def read(self) -> SimpleNamespace:
        joints = GOAL_RAD.copy()
        joints[2] += self._off_rad(self.passed_s)
        now_s = self.time_s + self.passed_s
        self.passed_s += 0.01
        assert self.passed_s < 10.0, "it waits without end"
        return SimpleNamespace(q=joints, time=SimpleNamespace(to_sec=lambda: now_s))


class Right:
    """A travel's right to move, which is lost after so many looks."""

    def __init__(self, looks: float = np.inf) -> None:
        self._looks = looks

    def wait(self, timeout_s: float) -> bool:
        self._looks -= 1
        return self._looks <= 0

    def require(self) -> None:
        if self._looks <= 0:
            raise rk.MotionFailed("the joint motion was interrupted")


def settle(off_rad: Callable[[float], float], looks: float = np.inf) -> float:
    """How long it took, in the arm's time."""
    link = Link(off_rad)
    wait_until_settled(link, GOAL_RAD, 0.02, Right(looks))
    return link.passed_s


def test_an_arm_that_stands_within_the_tolerance_has_arrived_after_a_tenth_of_a_second():
    assert settle(lambda passed_s: 0.019) == pytest.approx(0.12, abs=0.021)


def test_an_arm_that_creeps_to_its_goal_is_waited_for():
    """Its mean speed over the last tenth of a second falls to 0.02 rad/s after 1.225 s."""
    assert settle(lambda passed_s: 0.3 * np.exp(-passed_s / 0.3)) == pytest.approx(1.24, abs=0.02)
    assert settle(lambda passed_s: max(0.0, 0.1 * (1.0 - passed_s))) > 1.0, "it is near, and moves"


@pytest.mark.parametrize(
    ("off_rad", "words"),
    [
        (lambda passed_s: -0.03, r"0\.0300 rad from its goal at joint 3 \(allowed: 0\.02\), moving at 0\.000 rad/s"),
        (lambda passed_s: 0.1 * passed_s - 0.21, r"at joint 3 .*moving at 0\.100 rad/s \(allowed: 0\.02\)"),
    ],
    ids=["stands elsewhere", "does not stand"],
)
def test_an_arm_that_does_not_arrive_is_a_failed_motion_after_two_seconds_of_its_own_time(off_rad, words):
    with pytest.raises(rk.MotionFailed, match=rf"{words}.* after 2 s; the arm holds where it is"):
        settle(off_rad)
    link = Link(off_rad)
    with pytest.raises(rk.MotionFailed):
        wait_until_settled(link, GOAL_RAD, 0.02, Right())
    assert link.passed_s == pytest.approx(2.03, abs=0.02)


def test_an_arm_that_has_lost_its_right_to_move_is_waited_for_no_longer():
    with pytest.raises(rk.MotionFailed, match="interrupted"):
        settle(lambda passed_s: 0.1, looks=3)
