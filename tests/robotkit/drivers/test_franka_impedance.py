"""SERL's parameters in franky's terms, and what the driver does without hardware."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers.franka import FrankaRobot, impedance
from robotkit.drivers.franka.config import FrankaRobotConfig
from robotkit.drivers.franka.leash import SpeedLeash
from robotkit.drivers.franka.ramp import GainRamp, first_gains, stiffness_vector
from robotkit.drivers.franka.target import SmoothTarget
from robotkit.registry import grippers, robots
from robotkit.spatial import integrate_delta
from tests.support.waiting import wait_until


def test_rotations_give_serls_torque_near_zero():
    params = rk.ComplianceParams()
    angle_rad = 0.02
    stiffness = impedance.gains(params).stiffness[3, 3]
    assert stiffness * angle_rad == pytest.approx(params.rotational_stiffness_nm * np.sin(angle_rad / 2), rel=1e-4)


def test_clips_bound_the_same_angles_as_serls():
    params = rk.ComplianceParams(rotational_clip_min=[-0.3] * 3, rotational_clip_max=[0.3] * 3)
    np.testing.assert_allclose(np.sin(impedance.clips(params)[1] / 2), 0.3)


def test_the_tighter_side_of_a_clip_counts_and_is_told():
    params = rk.ComplianceParams(
        translational_clip_min_m=[-0.002, -0.01, -0.01], translational_clip_max_m=[0.01, 0.0025, 0.01]
    )
    np.testing.assert_allclose(impedance.clips(params)[0], [0.002, 0.0025, 0.01])
    assert "tighter side" in impedance.departures(params)[0]
    assert impedance.departures(rk.ComplianceParams()) == []


def test_the_integral_gains_are_accepted_and_told_to_do_nothing():
    assert "no effect" in impedance.departures(rk.ComplianceParams(translational_ki=0.1))[0]


def test_the_null_space_follows_serls_factors():
    stiffness, damping = impedance.nullspace(rk.ComplianceParams())
    np.testing.assert_allclose(stiffness, [20.0] + [0.2] * 6)
    np.testing.assert_allclose(damping, [4 * np.sqrt(0.2 * 100)] + [2 * np.sqrt(0.2)] * 6)


class Published:
    """Takes what a target publishes; it is tracked whole unless `is_leashed`."""

    def __init__(self) -> None:
        self.poses: list[np.ndarray] = []
        self.is_leashed = False

    def __call__(self, pose: np.ndarray) -> bool:
        self.poses.append(pose)
        return not self.is_leashed


def pose_at(x_m: float) -> np.ndarray:
    return np.array([x_m, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])


@contextmanager
def smooth_target(time_constant_s: float, published: Published, now_s: Callable[[], float]) -> Iterator[SmoothTarget]:
    target = SmoothTarget(time_constant_s, published, now_s)
    target.jump(pose_at(0.0))
    target.start()
    yield target
    target.close()


def test_the_filter_takes_serls_time():
    """0.005 of the way in each millisecond: after 200 of them 1 - 0.995^200 is done."""
    seen: list[tuple[float, float]] = []
    now_s = 0.0

    def tick() -> float:
        nonlocal now_s
        now_s += 0.01
        return now_s

    class Timed(Published):
        def __call__(self, pose: np.ndarray) -> bool:
            seen.append((pose[0], now_s))
            return True

    with smooth_target(0.2, Timed(), tick) as target:
        target.approach(pose_at(1.0))
        begin_s = now_s
        wait_until(lambda: seen[-1][0] > 0.9)
    under_way = [(x_m, time_s) for x_m, time_s in seen if x_m > 0.0]
    first_m, first_s = under_way[0]
    assert first_s - begin_s < 0.1
    for x_m, time_s in under_way[:30]:
        assert (1 - x_m) / (1 - first_m) == pytest.approx(0.995 ** ((time_s - first_s) * 1000), abs=2e-3)


def test_the_filter_arrives_exactly_and_stays():
    published, time_s = Published(), iter(np.arange(100000) * 0.1)
    goal = np.array([0.1, 0.2, 0.3, 1.0, 0, 0, 0])
    with smooth_target(0.2, published, lambda: next(time_s)) as target:
        target.approach(goal)
        wait_until(lambda: np.array_equal(published.poses[-1], goal))
        count = len(published.poses)
        wait_until(lambda: len(published.poses) > count + 3)
    assert all(np.array_equal(pose, goal) for pose in published.poses[count:])


def test_a_time_constant_of_zero_follows_at_once():
    published = Published()
    target = SmoothTarget(0.0, published, lambda: 0.0)
    target.approach(pose_at(0.3))
    target.close()
    np.testing.assert_array_equal(published.poses, [pose_at(0.3)])


def test_a2_a_target_is_closed_while_its_thread_waits_for_the_connection():
    """A stop from a signal handler closes it in the middle of a call that holds the connection's lock."""
    waits, may_go_on = threading.Event(), threading.Event()

    def publish(pose: np.ndarray) -> bool:
        waits.set()
        return may_go_on.wait(60.0)

    others = set(threading.enumerate())
    target = SmoothTarget(0.2, publish, time.monotonic)
    target.start()
    assert waits.wait(60.0)
    (thread,) = (one for one in set(threading.enumerate()) - others if one.name == "franka-target")
    closing = threading.Thread(target=target.close, daemon=True)
    closing.start()
    closing.join(20.0)
    assert not closing.is_alive()
    waits.clear()
    may_go_on.set()
    thread.join(60.0)
    assert not thread.is_alive()
    assert not waits.is_set()


@pytest.mark.parametrize("time_constant_s", [0.0, 0.2])
def test_r4_a_target_on_the_leash_is_published_until_it_is_tracked_whole(time_constant_s):
    """Soon, because the arm follows the leash: the pace is that of the filter, not that of the watch at rest."""
    published = Published()
    with smooth_target(time_constant_s, published, time.monotonic) as target:
        published.is_leashed = True
        target.approach(pose_at(0.3))
        wait_until(lambda: len(published.poses) > 20)
        assert target._wake.is_set()
        published.is_leashed = False
        wait_until(lambda: not target._wake.is_set())
    np.testing.assert_array_equal(published.poses[-1], pose_at(0.3))


def leashed(
    error: np.ndarray, params: rk.ComplianceParams, joint_speeds_rad_s: np.ndarray, speed_max_rad_s: float = 2.0
) -> np.ndarray:
    """The tracked pose of an arm at the origin whose joints are Cartesian axes, and one more."""
    leash = SpeedLeash(np.full(7, speed_max_rad_s), params)
    target = integrate_delta(pose_at(0.0), error[:3], error[3:])
    return leash.shorten(target, pose_at(0.0), np.eye(6, 7), joint_speeds_rad_s)


def test_r4_serls_clips_are_shorter_than_the_leash():
    error = np.array((0.3, -0.2, 0.1, 0.0, 0.4, 0.0))
    tracked = leashed(error, rk.ComplianceParams(), np.zeros(7), speed_max_rad_s=2.62)
    np.testing.assert_allclose(tracked[:3], error[:3])


def test_r4_the_law_asks_no_joint_for_more_than_half_its_speed():
    """2000 N/m and 89 Ns/m turn an error e into a speed of 22.5 e; half of 2 rad/s ends at 45 mm."""
    wide = rk.ComplianceParams(translational_clip_min_m=[-0.5] * 3, translational_clip_max_m=[0.5] * 3)
    tracked = leashed(np.array((0.4, 0.0, 0.0, 0.0, 0.0, 0.0)), wide, np.zeros(7))
    assert tracked[0] == pytest.approx(89 / 2000 * 1.0, rel=0.02)
    np.testing.assert_array_equal(tracked[1:], pose_at(0.0)[1:])


@pytest.mark.parametrize(("speed_rad_s", "share"), [(0.5, 1.0), (1.25, 0.5), (1.5, 0.0), (-1.9, 0.0)])
def test_r4_a_joint_near_its_highest_speed_is_drawn_no_further(speed_rad_s, share):
    near = np.array((0.004, 0.0, 0.0, 0.0, 0.0, 0.0))
    tracked = leashed(near, rk.ComplianceParams(), np.array((0.0, 0.0, speed_rad_s, 0.0, 0.0, 0.0, 0.0)))
    assert tracked[0] == pytest.approx(share * near[0])


def law(stiffness_n_m: float, clip_m: float) -> rk.ComplianceParams:
    return rk.ComplianceParams(
        translational_stiffness_n_m=stiffness_n_m,
        translational_clip_min_m=[-clip_m] * 3,
        translational_clip_max_m=[clip_m] * 3,
    )


@pytest.mark.parametrize(
    ("old", "new", "expected_n_m"),
    [
        ((2000.0, 0.01), (2000.0, 0.0101), 2000.0),  # what is in force stays
        ((2000.0, 0.01), (3000.0, 0.011), 2000.0),  # and goes on from there
        ((3000.0, 0.003), (1000.0, 0.01), 1000.0),  # 30 N would be above both bounds
        ((1000.0, 0.01), (3000.0, 0.003), 3000.0),  # 3 N would be below both
        ((2000.0, 0.01), (2000.0, 0.0), 2000.0),
    ],
)
def test_b11_a_new_motion_begins_between_the_old_and_the_new_bound_on_the_force(old, new, expected_n_m):
    in_force = stiffness_vector(law(*old), is_drawn=True)
    first = first_gains(in_force, law(*old), law(*new), is_drawn=True)
    assert first[0] == pytest.approx(expected_n_m)
    np.testing.assert_array_equal(first[1:], in_force[1:])


def test_b11_the_gains_in_force_follow_frankys_filter():
    ramp = GainRamp(np.array([500.0]))
    ramp.turn_to(np.array([2000.0]), 10.0)
    assert ramp.in_force(10.0) == 500.0
    assert ramp.in_force(10.2) == pytest.approx(500.0 + 1500.0 * (1 - np.exp(-1)))
    ramp.turn_to(np.array([1000.0]), 10.2)
    assert ramp.in_force(10.2) == pytest.approx(500.0 + 1500.0 * (1 - np.exp(-1)))
    assert ramp.in_force(20.0) == pytest.approx(1000.0)


def test_p1_a_clip_that_lies_on_one_side_of_zero_leaves_no_error():
    """SERL's law would push there without an error; franky cannot, and a clip of the other sign is none of its own."""
    crooked = rk.ComplianceParams.unchecked(
        **{**vars(law(2000.0, 0.01)), "translational_clip_max_m": np.full(3, -0.01)}
    )
    np.testing.assert_array_equal(impedance.clips(crooked)[0], np.zeros(3))
    turned = rk.ComplianceParams.unchecked(**{**vars(law(2000.0, 0.01)), "rotational_clip_min": np.full(3, 0.1)})
    np.testing.assert_array_equal(impedance.clips(turned)[1], np.zeros(3))


@pytest.mark.parametrize("name", ["collision_torque_nm", "collision_force_n"])
@pytest.mark.parametrize("wrong", [-1.0, 0.0, 1000.0])
def test_c_collision_thresholds_have_a_sense(name, wrong):
    fine = FrankaRobotConfig(host="nowhere")
    np.testing.assert_array_equal(fine.collision_torque_nm, [20.0] * 7)
    np.testing.assert_array_equal(fine.collision_force_n, [30.0] * 6)
    values = getattr(fine, name).copy()
    values[-1] = wrong
    with pytest.raises(rk.InvalidConfiguration, match="collision thresholds"):
        robots.validate("franka", {"host": "a", name: values.tolist()})


@pytest.mark.parametrize("model", ["fr3", "panda"])
def test_the_ready_pose_is_inside_the_joint_ranges(model):
    spec = FrankaRobot(FrankaRobotConfig(host="nowhere", model=model), rk.CellContext()).spec
    assert (spec.joint_position_min_rad < spec.reset_joint_positions_rad).all()
    assert (spec.reset_joint_positions_rad < spec.joint_position_max_rad).all()


def test_a_wrong_option_names_what_is_allowed():
    with pytest.raises(rk.InvalidConfiguration, match=r"realtime.*'enforce' or 'ignore'"):
        robots.validate("franka", {"host": "a", "realtime": "maybe"})
    with pytest.raises(rk.InvalidConfiguration, match="Did you mean 'force_n'"):
        grippers.validate("franka_hand", {"host": "a", "force": 10})


def test_nobody_at_the_address_says_where_to_look():
    with pytest.raises(rk.ConnectionFailed, match=r"127\.13\.255\.254.*FCI"):
        rk.make_robot("franka", host="127.13.255.254").connect()


_HIDDEN = """
import sys, robotkit as rk
assert "franky" not in sys.modules
sys.modules["franky"] = None
for make, name in ((rk.make_robot, "franka"), (rk.make_gripper, "franka_hand")):
    try:
        make(name, host="172.16.0.2")
    except rk.MissingExtra as error:
        print(error)
"""


def test_without_franky_the_message_holds_the_pip_line():
    run = subprocess.run([sys.executable, "-c", _HIDDEN], capture_output=True, text=True, check=True)
    lines = run.stdout.splitlines()
    assert len(lines) == 2
    assert all("pip install 'robotkit[franka]'" in line for line in lines)
