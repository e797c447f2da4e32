"""Laws of the monitor, each measurement made by hand."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import robotkit as rk
from robotkit.safety.monitor import Monitor
from robotkit.spatial import integrate_delta
from tests.support.recording_arm import InThread, RecordingArm

SPEC = RecordingArm().spec
BOX = rk.WorkspaceBox(
    position_min_m=(0, -1, 0), position_max_m=(1, 1, 1), reference_quaternion_xyzw=(1, 0, 0, 0),
    rotation_vector_min_rad=(-0.5,) * 3, rotation_vector_max_rad=(0.5,) * 3,
)  # fmt: skip
POSE = np.array((0.5, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0))
WALL = rk.Plane(name="wall", point_in_base_m=(0.6, 0, 0), normal_in_base=(-1, 0, 0))


class Watched:
    """A monitor, and what it says about measurements that differ from an arm at rest in its box."""

    def __init__(self, spec=SPEC, **limits):
        self.monitor = Monitor(spec, rk.SafetyLimits(**limits))
        self.stamp_s = 0.0

    def sees(self, *, again=False, links=False, **measured):
        self.stamp_s += 0.0 if again else 0.01
        state = rk.RobotState.unchecked(**{
            "stamp_s": self.stamp_s, "tcp_pose_in_base": POSE, "tcp_twist_in_base": np.zeros(6),
            "wrench_in_tcp": np.zeros(6), "joint_positions_rad": SPEC.reset_joint_positions_rad,
            "joint_velocities_rad_s": np.zeros(7), "jacobian_in_base": np.zeros((6, 7)), "mode": "tracking", **measured,
        })  # fmt: skip
        return self.monitor.check(state, self.monitor.rearms, watches_links=links)

    def at(self, x_m=0.5, turn_rad=0.0):
        pose = integrate_delta(POSE, np.zeros(3), np.array((0, 0, turn_rad)))
        pose[0] = x_m
        return self.sees(tcp_pose_in_base=pose)


@pytest.mark.parametrize(("limits", "good", "bad"), [
    ({"max_force_n": 5.0}, (3, 4, 0, 0, 0, 99), (3, 4.01, 0, 0, 0, 0)),
    ({"max_force_n": 5.0}, (0, 3, -4, 0, 0, 0), (0, 3, -4.01, 0, 0, 0)),
    ({"max_torque_nm": 5.0}, (99, 0, 0, 3, 4, 0), (0, 0, 0, -3, 4.01, 0)),
    ({"max_torque_nm": 5.0}, (0, 0, 0, 0, 4, 3), (0, 0, 0, 0, 4, 3.01)),
    ({"max_force_n": 5.0, "max_torque_nm": 1.0}, (5, 0, 0, 1, 0, 0), (0, 0, 0, 1.01, 0, 0)),
])  # fmt: skip
def test_force_and_torque_are_vectors_up_to_their_limits(limits, good, bad):
    watched = Watched(**limits)
    assert watched.sees(wrench_in_tcp=np.array(good, float)) is None
    trip = watched.sees(wrench_in_tcp=np.array(bad, float))
    assert trip.code == "force_limit_exceeded"
    assert "the tool felt" in trip.cause
    assert watched.sees(wrench_in_tcp=np.full(6, np.nan)) is not None


SPEEDS = [
    ({"max_tcp_speed_m_s": 1.0}, "tcp_twist_in_base", np.array((1.2, 1.6, 0, 99, 99, 99))),
    ({"max_tcp_speed_m_s": 1.0}, "tcp_twist_in_base", np.array((0, 1.2, -1.6, 0, 0, 0))),
    ({"max_tcp_rotation_speed_rad_s": 1.0}, "tcp_twist_in_base", np.array((99, 99, 99, -1.2, 1.6, 0))),
    ({"max_tcp_rotation_speed_rad_s": 1.0}, "tcp_twist_in_base", np.array((0, 0, 0, 0, 1.6, 1.2))),
    ({"max_joint_speed_rad_s": 1.0}, "joint_velocities_rad_s", np.array((0, 0, -2.0, 0, 1, 0, 0))),
]


@pytest.mark.parametrize(("limit", "field", "fastest"), SPEEDS)
def test_a_speed_counts_from_the_factor_times_its_limit_and_from_the_second_measurement(limit, field, fastest):
    watched = Watched(**limit, measured_speed_factor=2.0)
    for _ in range(4):
        assert watched.sees(**{field: fastest}) is None
    too_fast = {field: 3.0 * fastest}
    assert watched.sees(**too_fast) is None
    assert watched.sees(**too_fast, again=True) is None, "the same measurement"
    trip = watched.sees(**too_fast)
    assert trip.code == "robot_stopped"
    assert "2 times its speed limits" in trip.cause
    watched.monitor.rearm()
    trips = [watched.sees(**{field: 1.01 * fastest}) for _ in range(210)]
    assert trips[190] is None
    assert trips[-1] is not None, "1 % too fast, and the way of 20 ms too far"


def test_speeds_that_are_too_high_count_in_a_row_only():
    watched, fast = Watched(max_tcp_speed_m_s=1.0, measured_speed_factor=2.0), np.array((6.0, 0, 0, 0, 0, 0))
    for _ in range(3):
        assert watched.sees(tcp_twist_in_base=fast) is None
        assert watched.sees() is None
    assert watched.sees(tcp_twist_in_base=fast) is None
    watched.monitor.rearm()
    assert watched.sees(tcp_twist_in_base=fast) is None, "watching began anew"
    assert watched.sees(tcp_twist_in_base=fast) is not None


def test_what_was_too_fast_before_a_slow_measurement_is_forgotten():
    """One fifth too fast: two in a row are 4 ms of way too far, and ten in a row 20 ms."""
    watched, fast = Watched(max_tcp_speed_m_s=1.0, measured_speed_factor=2.0), np.array((2.4, 0, 0, 0, 0, 0))
    for _ in range(20):
        for twist in (fast, fast, np.zeros(6)):
            assert watched.sees(tcp_twist_in_base=twist) is None
    trips = [watched.sees(tcp_twist_in_base=fast) for _ in range(11)]
    assert trips[7] is None
    assert trips[-1] is not None


def test_a_speed_counts_as_much_after_stamps_that_begin_anew_as_without_a_measurement_before():
    watched, fast = Watched(max_tcp_speed_m_s=1.0, measured_speed_factor=2.0), np.array((4.0, 0, 0, 0, 0, 0))
    watched.stamp_s = 9.0
    assert watched.sees() is None
    watched.stamp_s = 8.5
    assert watched.sees(tcp_twist_in_base=fast) is None
    assert watched.sees(tcp_twist_in_base=fast) is not None


@pytest.mark.parametrize(("limit", "field"), [(limit, field) for limit, field, _ in SPEEDS])
def test_a_speed_that_is_no_number_is_too_high(limit, field):
    watched = Watched(**limit)
    bad = np.full(6 if field == "tcp_twist_in_base" else 7, np.nan)
    watched.sees(**{field: bad})
    assert watched.sees(**{field: bad}) is not None


def test_joint_speeds_are_free_where_only_the_tool_is_bounded():
    watched = Watched(max_tcp_speed_m_s=1.0)
    for _ in range(3):
        assert watched.sees(joint_velocities_rad_s=np.full(7, 99.0)) is None
    fast = np.array((6.0, 0, 0, 0, 0, 0))
    watched.sees(tcp_twist_in_base=fast)
    assert "6.000 m/s, 0.000 rad/s at the tool and 0.000 rad/s at a joint" in watched.sees(tcp_twist_in_base=fast).cause


def test_watching_does_not_begin_anew_in_the_middle_of_a_measurement():
    watched = Watched(workspace=BOX)
    rearms, leashes, check = [], [], watched.monitor._check_tool

    def rearm_beside(state):
        rearmed = threading.Event()
        rearms.append(InThread(lambda: (watched.monitor.rearm(), rearmed.set())))
        rearmed.wait(0.1)
        leashes.append(watched.monitor._tool_m)
        return check(state)

    before = watched.monitor._tool_m
    watched.monitor._check_tool = rearm_beside
    watched.at(0.5)
    rearms[0].join()
    assert leashes == [before]
    assert watched.monitor._tool_m is not before


def test_the_tool_may_be_outside_its_box_by_the_margin():
    watched = Watched(workspace=BOX, measured_margin_m=0.02)
    assert watched.at(0.5) is None
    assert watched.at(1.0199) is None
    trip = watched.at(1.0201)
    assert "0.020 m and 0.000 rad outside" in trip.cause
    assert "x = 1.0201" in trip.cause


def test_the_tool_may_be_turned_out_of_its_box_by_a_tenth_of_a_radian():
    watched = Watched(workspace=BOX)
    assert watched.at(turn_rad=0.5) is None
    assert watched.at(turn_rad=0.599) is None
    assert "turned by" in watched.at(turn_rad=0.601).cause


def test_an_arm_that_begins_outside_may_come_back_and_not_go_out_again():
    watched = Watched(workspace=BOX, measured_margin_m=0.02)
    for x_m in (1.10, 1.119, 1.05, 1.069):
        assert watched.at(x_m) is None, x_m
    assert watched.at(1.071) is not None
    assert watched.at(1.069) is None, "what was refused has not lengthened the leash"
    assert watched.at(0.9) is None
    assert watched.at(1.021) is not None
    watched.monitor.rearm()
    assert watched.at(1.3) is None
    assert watched.at(float("nan")) is not None


def test_links_are_looked_at_when_asked_for():
    watched = Watched(planes=(WALL,), measured_margin_m=0.01)
    inside = SPEC.reset_joint_positions_rad
    beyond = inside + np.array((0.5, 0, 0, 0, 0, 0, 0))
    assert watched.sees(joint_positions_rad=inside, links=True) is None
    assert watched.sees(joint_positions_rad=beyond) is None
    trip = watched.sees(joint_positions_rad=beyond, links=True)
    assert "beyond its bounds" in trip.cause
    assert "plane 'wall'" in trip.cause
    watched.monitor.rearm()
    assert watched.sees(joint_positions_rad=beyond, links=True) is None


def test_what_has_no_limit_is_not_watched():
    watched = Watched()
    for _ in range(3):
        wild = {"wrench_in_tcp": np.full(6, 1e6), "tcp_twist_in_base": np.full(6, 1e6),
                "tcp_pose_in_base": POSE + 99.0, "joint_velocities_rad_s": np.full(7, 1e6)}  # fmt: skip
        assert watched.sees(**wild, links=True) is None


def test_an_arm_that_tells_no_kinematics_has_no_links_to_watch():
    spec = SPEC.model_copy(update={"kinematics": None})
    assert Watched(spec, planes=(WALL,)).sees(links=True) is None


def places(x_m=0.0, turn_rad=0.0, joint_rad=0.0):
    """Where an arm is that has gone so far."""
    return {
        "tcp_pose_in_base": integrate_delta(POSE, np.array((x_m, 0, 0)), np.array((0, 0, turn_rad))),
        "joint_positions_rad": SPEC.reset_joint_positions_rad + joint_rad * np.eye(7)[2],
    }


@pytest.mark.parametrize(("limits", "way"), [
    ({"max_tcp_speed_m_s": 0.5}, {"x_m": 0.01}),
    ({"max_tcp_rotation_speed_rad_s": 1.0}, {"turn_rad": 0.02}),
    ({"max_joint_speed_rad_s": 1.5}, {"joint_rad": 0.03}),
])  # fmt: skip
def test_b3_an_arm_that_tells_no_speed_is_judged_by_how_far_it_goes(limits, way):
    """Twice the limit is allowed: 1 m/s, 2 rad/s and 3 rad/s, here as steps of 10 ms."""
    for share, is_stopped in ((0.98, False), (2.0, True)):
        watched = Watched(**limits)
        trips = [watched.sees(**places(**{name: share * i * step for name, step in way.items()})) for i in range(30)]
        assert any(trips) == is_stopped
    first = next(i for i, trip in enumerate(trips) if trip)
    assert first <= 5, "two looks, 20 ms apart, after the first one"
    assert "has moved at" in trips[first].cause


def test_b3_one_leap_is_no_speed_and_a_new_beginning_forgets_the_place():
    watched = Watched(max_tcp_speed_m_s=0.5)
    for i in range(40):
        assert watched.sees(**places(x_m=0.0 if i < 20 else 0.2)) is None
    for i in range(40):
        if i % 3 == 2:
            watched.monitor.rearm()
        assert watched.sees(**places(x_m=0.02 * i)) is None


def test_b3_measurements_that_come_late_are_judged_over_the_time_that_passed():
    watched = Watched(max_tcp_speed_m_s=0.5)
    for i in range(20):
        watched.stamp_s += 0.29
        assert watched.sees(**places(x_m=0.29 * i)) is None
