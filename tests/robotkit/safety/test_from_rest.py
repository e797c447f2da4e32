"""Laws of joint motions of an arm that moves: its path begins where it was looked at, which is at rest."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from tests.support.watched_arm import BOX, pose_command, watched

WAY_RAD_S = 0.5 * np.eye(7)[0]


@pytest.fixture
def arm_and_body():
    """An arm that tracks and has moved for 0.2 s, moves until it is held, and for 0.1 s after it; it tells no speed."""
    arm, body, clock = watched(workspace=BOX)
    arm.send(pose_command(0.01))
    body.start_rad, start_s, rest_s = body.joints_rad.copy(), clock.now_s(), []
    body.on["hold"] = lambda: rest_s.append(clock.now_s() + 0.1)

    def moves():
        body.joints_rad = body.start_rad + WAY_RAD_S * (min([clock.now_s(), *rest_s[:1]]) - start_s)

    body.on["measure"] = moves
    for _ in range(40):
        clock.advance(0.005)
        arm.get_state()
    body.calls.clear()
    return arm, body, body.start_rad


def test_b3_a_joint_path_is_looked_at_again_when_the_arm_has_come_to_rest(arm_and_body, monkeypatch):
    arm, body, start_rad = arm_and_body
    looked = []
    monkeypatch.setattr(arm._checks._body, "check_path", lambda start, goal: looked.append(start[0] - start_rad[0]))
    arm.move_to_joint_positions(start_rad + 0.1 * np.eye(7)[0])
    assert looked == pytest.approx([0.1, 0.15])
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
    advance = arm._clock.advance

    def interrupted(period_s):
        arm._clock.advance = advance
        getattr(arm, call)()

    arm._clock.advance = interrupted
    with pytest.raises(error):
        arm.move_to_joint_positions(start_rad + 0.1)
    assert "travel" not in body.calls


def test_b3_an_arm_that_never_stands_is_moved_by_nobody(arm_and_body, monkeypatch):
    arm, body, start_rad = arm_and_body
    monkeypatch.setattr("robotkit.safety.robot._REST_S", 0.05)
    arm._stands = lambda **_: False
    with pytest.raises(rk.MotionFailed, match=r"did not come to rest within 0\.05 s"):
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


def test_b3_a_joint_motion_waits_until_places_tell_whether_the_arm_stands():
    """Right after a gap in its measurements, an arm that tells no speed is moved by no word of its own."""
    moving = Moving(lambda: np.zeros(7))
    moving.pass_time(20)
    moving.clock.advance(0.5)
    moving.body.joints_rad = moving.body.joints_rad + 0.1
    begun_s = moving.clock.now_s()
    assert moving.arm._stands() is None
    moving.arm.move_to_joint_positions(moving.body.joints_rad)
    assert moving.body.calls[0] == "travel", "it stands, and is not held for it"
    assert 0.1 <= moving.clock.now_s() - begun_s < 0.12


@pytest.mark.parametrize("readers", [1, 2, 5])
def test_b3_whoever_measures_beside_it_no_joint_motion_begins_from_motion(arm_and_body, readers):
    """Each of them hands over what it measured a little earlier, before every look and after it."""
    arm, body, start_rad = arm_and_body
    add, older, speeds = arm._places.add, [], []

    def add_too(stamp_s, joints_rad):
        for place in (*older[-readers:], (stamp_s, joints_rad.copy()), *older[-readers:]):
            add(*place)
        older.append((stamp_s, joints_rad.copy()))

    arm._places.add = add_too
    begin = arm.inner.begin_joint_motion

    def begun(goal_rad, rate_max_hz):
        before_rad = body.joints_rad.copy()
        arm._clock.advance(0.01)
        body.on["measure"]()
        speeds.append(np.abs(body.joints_rad - before_rad).max() / 0.01)
        return begin(goal_rad, rate_max_hz)

    arm.inner.begin_joint_motion = begun
    for _ in range(3):
        arm.move_to_joint_positions(start_rad + 0.1)
    assert body.calls == ["hold", *["travel", "hold"] * 3]
    assert speeds == pytest.approx([0.0] * 3)


def test_b3_noise_of_its_places_keeps_an_arm_from_a_joint_motion_for_a_while_only():
    moving, noise = Moving(lambda: np.zeros(7)), np.random.default_rng(1)
    measure = moving.body._measure
    moving.body._measure = lambda: (found := measure())._replace(
        joint_positions_rad=found.joint_positions_rad + noise.normal(0.0, 0.001, 7)
    )
    for _ in range(10):
        begun_s = moving.clock.now_s()
        moving.arm.move_to_joint_positions(moving.body.joints_rad)
        assert moving.clock.now_s() - begun_s < 5.0


def test_b3_an_arm_that_is_measured_too_seldom_is_told_so(monkeypatch):
    moving = Moving(lambda: np.zeros(7))
    monkeypatch.setattr("robotkit.safety.robot._POLL_PERIOD_S", 0.4)
    with pytest.raises(rk.MotionFailed, match="was not measured often enough to tell that it stands within 10 s"):
        moving.arm.move_to_joint_positions(moving.body.joints_rad)
    assert moving.body.calls == []
