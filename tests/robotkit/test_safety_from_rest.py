"""Laws of joint motions of an arm that moves: its path begins where it was looked at, which is at rest."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from tests.support.watched_arm import BOX, pose_command, watched

MOVES_RAD_S = 0.5 * np.eye(7)[0]


@pytest.fixture
def arm_and_body():
    """An arm that tracks and moves until it is held, and is measured farther on by then."""
    arm, body, _ = watched(workspace=BOX)
    arm.send(pose_command(0.01))
    measure, start_rad = body._measure, body.joints_rad.copy()
    looks = iter(range(10**6))

    def measured():
        is_held = "hold" in body.calls
        after = next(looks) if is_held else 0
        body.joints_rad = start_rad + (0.05 * np.eye(7)[0] if is_held else 0.0)
        speed = MOVES_RAD_S if not is_held or after < 5 else np.zeros(7)
        return measure()._replace(joint_velocities_rad_s=speed)

    body._measure = measured
    body.calls.clear()
    return arm, body, start_rad


def test_b3_a_joint_path_is_looked_at_again_when_the_arm_has_come_to_rest(arm_and_body, monkeypatch):
    arm, body, start_rad = arm_and_body
    looked = []
    monkeypatch.setattr(arm._checks._body, "check_path", lambda start, goal: looked.append(start[0] - start_rad[0]))
    arm.move_to_joint_positions(start_rad + 0.1 * np.eye(7)[0])
    assert looked == pytest.approx([0.0, 0.05])
    assert body.calls[:2] == ["hold", "travel"]


def test_b3_a_joint_motion_that_is_refused_at_once_holds_nothing(arm_and_body):
    arm, body, start_rad = arm_and_body
    with pytest.raises(rk.JointLimitExceeded):
        arm.move_to_joint_positions(start_rad + 99.0)
    assert body.calls == []
    assert arm.get_state().mode == "tracking"


@pytest.mark.parametrize("call", ["stop", "hold"])
def test_b3_whatever_comes_while_the_arm_comes_to_rest_wins(arm_and_body, call):
    arm, body, start_rad = arm_and_body
    error = rk.RobotStopped if call == "stop" else rk.TargetReplaced
    held = body._hold

    def hold_and_then():
        held()
        body._hold = held
        stands = arm._stands

        def interrupted(**_):
            arm._stands = stands
            getattr(arm, call)()
            return False

        arm._stands = interrupted

    body._hold = hold_and_then
    with pytest.raises(error):
        arm.move_to_joint_positions(start_rad + 0.1)
    assert "travel" not in body.calls


def test_b3_an_arm_that_never_stands_is_moved_by_nobody(arm_and_body, monkeypatch):
    arm, body, start_rad = arm_and_body
    monkeypatch.setattr("robotkit.safety.robot._REST_S", 0.05)
    arm._stands = lambda **_: False
    with pytest.raises(rk.MotionFailed, match=r"has not come to rest within 0\.05 s after a hold"):
        arm.move_to_joint_positions(start_rad + 0.1)
    assert "travel" not in body.calls


class Moving:
    """Places of an arm on a clock that a test advances, with speeds that the arm tells and that need not be true."""

    def __init__(self, told_rad_s):
        self.arm, self.body, self.clock = watched()
        self.told_rad_s, self.true_rad_s = told_rad_s, 0.0
        measure = self.body._measure
        self.body._measure = lambda: measure()._replace(joint_velocities_rad_s=self.told_rad_s())

    def pass_time(self, steps):
        for _ in range(steps):
            self.clock.advance(0.01)
            self.body.joints_rad = self.body.joints_rad + 0.01 * self.true_rad_s * np.eye(7)[2]
            self.arm.get_state()


def test_b3_noise_of_the_speed_keeps_no_standing_arm_from_a_joint_motion():
    noise = np.random.default_rng(0)
    moving = Moving(lambda: noise.normal(0.0, 0.05, 7))
    moving.pass_time(20)
    for _ in range(20):
        assert moving.arm._stands()
        moving.pass_time(1)


@pytest.mark.parametrize(("speed_rad_s", "stands"), [(0.0, True), (0.019, True), (0.021, False), (0.5, False)])
def test_b3_an_arm_that_tells_no_speed_is_seen_to_move(speed_rad_s, stands):
    moving = Moving(lambda: np.zeros(7))
    moving.true_rad_s = speed_rad_s
    moving.pass_time(20)
    assert moving.arm._stands() == stands


def test_b3_places_of_before_a_gap_say_nothing():
    moving = Moving(lambda: np.zeros(7))
    moving.pass_time(20)
    moving.clock.advance(0.5)
    moving.body.joints_rad = moving.body.joints_rad + 1.0
    assert moving.arm._stands(), "nothing but its own word"
    assert not moving.arm._stands(believes_speed=False)
