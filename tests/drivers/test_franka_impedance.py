"""SERL's parameters in franky's terms, and what the driver does without hardware."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers.franka import FrankaRobot, impedance
from robotkit.drivers.franka.config import FrankaRobotConfig
from robotkit.drivers.franka.target import SmoothTarget
from robotkit.registry import grippers, robots
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


def test_the_filter_takes_serls_time():
    """0.005 of the way in each millisecond: after 200 of them 1 - 0.995^200 is done."""
    time_s = iter(np.arange(1000) * 0.01)
    seen: list[np.ndarray] = []
    now_s = 0.0

    def tick() -> float:
        nonlocal now_s
        now_s = next(time_s)
        return now_s

    target = SmoothTarget(0.2, lambda pose: seen.append(np.append(pose, now_s)), tick)
    start = np.array([0.0, 0, 0, 0, 0, 0, 1])
    target.jump(start)
    target.approach(np.array([1.0, 0, 0, 0, 0, 0, 1]))
    wait_until(lambda: now_s > 0.3)
    target.close()
    for pose in seen[1:20]:
        assert pose[0] == pytest.approx(1 - 0.995 ** (pose[7] * 1000), abs=2e-3)


def test_the_filter_arrives_exactly_and_then_sleeps():
    published: list[np.ndarray] = []
    time_s = iter(np.arange(100000) * 0.1)
    target = SmoothTarget(0.2, published.append, lambda: next(time_s))
    target.jump(np.array([0.0, 0, 0, 0, 0, 0, 1]))
    goal = np.array([0.1, 0.2, 0.3, 1.0, 0, 0, 0])
    target.approach(goal)
    wait_until(lambda: np.array_equal(published[-1], goal))
    count = len(published)
    target.close()
    assert len(published) == count


def test_a_time_constant_of_zero_follows_at_once():
    published: list[np.ndarray] = []
    target = SmoothTarget(0.0, published.append, lambda: 0.0)
    goal = np.array([0.1, 0.2, 0.3, 1.0, 0, 0, 0])
    target.approach(goal)
    target.close()
    np.testing.assert_array_equal(published, [goal])


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
