"""The leash, the ramp and the filter between a target and the arm, step by step: no thread and no arm runs."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import robotkit as rk
from robotkit.drivers.franka import impedance, target
from robotkit.drivers.franka.config import FrankaRobotConfig
from robotkit.drivers.franka.leash import SpeedLeash
from robotkit.drivers.franka.ramp import GainRamp, first_gains, stiffness_vector
from robotkit.drivers.franka.target import SmoothTarget
from robotkit.spatial import interpolate, make_pose, quaternion_from_rotation_vector, rotation_vector_between

SPEED_MAX_RAD_S = np.array((2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26))
WIDE = {
    "translational_clip_min_m": [-0.5] * 3,
    "translational_clip_max_m": [0.5] * 3,
    "rotational_clip_min": [-0.7] * 3,
    "rotational_clip_max": [0.7] * 3,
}
seeds = st.integers(0, 10**6)


def any_pose(rng: np.random.Generator) -> np.ndarray:
    return make_pose(rng.uniform(-0.5, 0.5, 3), quaternion_from_rotation_vector(rng.uniform(-1.5, 1.5, 3)))


def error_between(measured: np.ndarray, pose: np.ndarray) -> np.ndarray:
    return np.concatenate((pose[:3] - measured[:3], rotation_vector_between(measured[3:], pose[3:])))


def shares_asked(params: rk.ComplianceParams, jacobian: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Of each joint's highest speed, where K e / D is the tool's speed: least squares with a damping of 0.1.

    Damping counts as at least 0.3 of that of 1 kg; SERL's rotational stiffness is of half the angle.
    """
    stiffness = np.repeat((params.translational_stiffness_n_m, params.rotational_stiffness_nm / 2), 3)
    damping = np.repeat((params.translational_damping_ns_m, params.rotational_damping_nms_rad), 3)
    speed = stiffness * error / np.maximum(damping, 0.6 * np.sqrt(np.maximum(stiffness, 1.0)))
    rows = np.vstack((jacobian, 0.1 * np.eye(7)))
    return np.abs(np.linalg.lstsq(rows, np.concatenate((speed, np.zeros(7))))[0]) / SPEED_MAX_RAD_S


@given(seeds, st.sampled_from([89.0, 10.0]), st.sampled_from([2000.0, 500.0, 0.5]))
def test_r4_the_leash_ends_where_the_first_joint_is_asked_for_half_its_speed(seed, damping_ns_m, stiffness_n_m):
    rng = np.random.default_rng(seed)
    params = rk.ComplianceParams(
        **WIDE, translational_damping_ns_m=damping_ns_m, translational_stiffness_n_m=stiffness_n_m
    )
    leash, jacobian = SpeedLeash(SPEED_MAX_RAD_S, params), rng.normal(size=(6, 7))
    measured = any_pose(rng)
    goal = any_pose(rng) if seed % 2 else interpolate(measured, any_pose(rng), 0.05)
    tracked = leash.shorten(goal, measured, jacobian, rng.uniform(-0.5, 0.5, 7) * SPEED_MAX_RAD_S)
    clips = np.concatenate(impedance.clips(params))
    whole = np.clip(error_between(measured, goal), -clips, clips)
    reach = min(1.0, 0.5 / shares_asked(params, jacobian, whole).max())
    assert (tracked is goal) == (reach == 1.0)
    if reach < 1.0:
        np.testing.assert_allclose(error_between(measured, tracked), reach * whole, atol=1e-9)


@given(seeds)
def test_r4_between_half_and_three_quarters_of_a_joints_speed_the_pull_fades(seed):
    rng = np.random.default_rng(seed)
    params, measured = rk.ComplianceParams(), any_pose(rng)
    leash, jacobian = SpeedLeash(SPEED_MAX_RAD_S, params), 10.0 * np.eye(6, 7)
    goal = interpolate(measured, any_pose(rng), 0.001)
    share, joint = rng.uniform(0.0, 1.0), rng.integers(7)
    speeds = 0.3 * SPEED_MAX_RAD_S * rng.uniform(-1.0, 1.0, 7)
    speeds[joint] = rng.choice((-1.0, 1.0)) * share * SPEED_MAX_RAD_S[joint]
    fading = float(np.clip(3.0 - 4.0 * max(share, np.abs(speeds / SPEED_MAX_RAD_S).max()), 0.0, 1.0))
    tracked = leash.shorten(goal, measured, jacobian, speeds)
    np.testing.assert_allclose(error_between(measured, tracked), fading * error_between(measured, goal), atol=1e-9)


def test_an_arm_at_its_target_is_on_no_leash():
    leash, here = SpeedLeash(SPEED_MAX_RAD_S, rk.ComplianceParams()), any_pose(np.random.default_rng(0))
    assert leash.shorten(here, here, np.eye(6, 7), np.zeros(7)) is here


def test_another_law_has_another_leash():
    leash, wide = SpeedLeash(SPEED_MAX_RAD_S, rk.ComplianceParams()), rk.ComplianceParams(**WIDE)
    here, far = make_pose(np.zeros(3), np.array((0, 0, 0, 1.0))), make_pose(np.ones(3), np.array((0, 0, 0, 1.0)))
    assert leash.shorten(far, here, np.eye(6, 7), np.zeros(7)) is far, "the clip is shorter"
    leash.set_compliance(wide)
    assert leash.shorten(far, here, np.eye(6, 7), np.zeros(7)) is not far


def test_a_motion_has_the_laws_clips_posture_and_limits():
    config = FrankaRobotConfig(
        host="box", torque_rate_limit_nm=0.7,
        joint_limit_repulsion={
            "distance_rad": 0.2, "stiffness_nm_rad": 50.0, "damping_nms_rad": 3.0, "torque_max_nm": 8.0
        },
    )  # fmt: skip
    law = rk.ComplianceParams(
        translational_stiffness_n_m=1500.0, translational_damping_ns_m=80.0, rotational_stiffness_nm=120.0,
        rotational_damping_nms_rad=6.0, nullspace_stiffness_nm_rad=0.5, joint1_nullspace_factor=4.0,
        translational_clip_min_m=[-0.01, -0.02, -0.03], translational_clip_max_m=[0.03, 0.02, 0.01],
        rotational_clip_min=[-0.1, -0.2, -0.3], rotational_clip_max=[0.3, 0.2, 0.1],
    )  # fmt: skip
    posture_rad, first = np.arange(7.0), np.arange(1.0, 10.0)
    motion = impedance.motion(law, posture_rad, first, config)
    params = motion.params
    np.testing.assert_allclose(np.diag(params.stiffness), [1.0] * 3 + [2.0] * 3)
    np.testing.assert_allclose(params.translational_error_clip, [0.01, 0.02, 0.01])
    np.testing.assert_allclose(np.sin(params.rotational_error_clip / 2), [0.1, 0.2, 0.1])
    (posture,) = params.nullspace_tasks
    np.testing.assert_array_equal(posture.target, posture_rad)
    np.testing.assert_array_equal(posture.stiffness, first[2:])
    np.testing.assert_allclose(posture.damping, 2 * np.sqrt(0.5) * np.array((4.0, 1, 1, 1, 1, 1, 1)))
    safety = params.safety
    assert safety.max_delta_tau == 0.7
    assert (safety.joint_limit_activation_distance, safety.joint_limit_stiffness) == (0.2, 50.0)
    assert (safety.joint_limit_damping, safety.joint_limit_max_torque) == (3.0, 8.0)
    np.testing.assert_allclose(safety.upper_joint_limits[:2], (2.7437, 1.7837))
    np.testing.assert_allclose(safety.lower_joint_limits[:2], (-2.7437, -1.7837))
    gains = motion.get_gains()
    np.testing.assert_allclose(np.diag(gains.stiffness), [1500.0] * 3 + [60.0] * 3)
    np.testing.assert_allclose(np.diag(gains.damping), [80.0] * 3 + [6.0] * 3)
    spare = impedance.nullspace_gains(law)
    np.testing.assert_allclose(spare.posture_stiffness, [2.0] + [0.5] * 6)
    np.testing.assert_allclose(spare.posture_damping, posture.damping)


def test_a_clip_beyond_a_half_turn_is_a_half_turn():
    law = rk.ComplianceParams.unchecked(
        **{
            **vars(rk.ComplianceParams()),
            "rotational_clip_min": np.full(3, -2.0),
            "rotational_clip_max": np.full(3, 2.0),
        }
    )
    np.testing.assert_allclose(impedance.clips(law)[1], np.pi)


@pytest.mark.parametrize(
    "other",
    [
        {"translational_clip_min_m": [-0.02, -0.01, -0.01]},
        {"rotational_clip_max": [0.05, 0.05, 0.04]},
        {"translational_ki": 0.1},
        {"rotational_ki": 0.1},
    ],
)
def test_whatever_this_arm_does_otherwise_than_asked_is_told(other):
    assert len(impedance.departures(rk.ComplianceParams(**other))) == 1


def test_without_a_posture_the_spare_joint_is_not_drawn():
    params = rk.ComplianceParams()
    np.testing.assert_allclose(stiffness_vector(params, is_drawn=True), [2000.0, 75.0, 20.0] + [0.2] * 6)
    np.testing.assert_allclose(stiffness_vector(params, is_drawn=False), [2000.0, 75.0] + [0.0] * 7)


def test_gains_before_their_change_are_the_old_ones_and_a_new_motion_has_its_own_start():
    ramp = GainRamp(np.array((1.0, 2.0)))
    ramp.turn_to(np.array((3.0, 6.0)), 10.0)
    np.testing.assert_array_equal(ramp.in_force(9.0), (1.0, 2.0))
    ramp.turn_to(np.array((5.0, 5.0)), 11.0, np.array((4.0, 4.0)))
    np.testing.assert_array_equal(ramp.in_force(11.0), (4.0, 4.0))
    np.testing.assert_allclose(ramp.in_force(11.2), 5.0 - 1.0 / np.e)


@given(seeds)
def test_b11_no_axis_pushes_harder_or_softer_than_before_and_after(seed):
    """Each axis by itself: where they contradict each other, none pushes harder."""
    rng = np.random.default_rng(seed)

    def any_law() -> rk.ComplianceParams:
        translation, rotation = rng.uniform(0.001, 0.05, 3), rng.uniform(0.01, 0.3, 3)
        return rk.ComplianceParams(
            translational_stiffness_n_m=rng.uniform(100.0, 3000.0), rotational_stiffness_nm=rng.uniform(10.0, 250.0),
            translational_clip_min_m=-translation, translational_clip_max_m=translation,
            rotational_clip_min=-rotation, rotational_clip_max=rotation,
        )  # fmt: skip

    old, new = any_law(), any_law()
    in_force, asked = stiffness_vector(old, is_drawn=True), stiffness_vector(new, is_drawn=True)
    first = first_gains(in_force, old, new, is_drawn=True)
    for index, (before, after) in enumerate(zip(impedance.clips(old), impedance.clips(new), strict=True)):
        bounds = np.sort((in_force[index] * before, asked[index] * after), axis=0)
        forces = first[index] * after
        assert (forces <= bounds[1] * (1 + 1e-9)).all()
        if (bounds[0] / after).max() <= (bounds[1] / after).min():
            assert (forces >= bounds[0] * (1 - 1e-9)).all()
    np.testing.assert_array_equal(first[2:], in_force[2:])


def test_b11_a_force_without_an_error_leaves_the_torque_between_its_bounds():
    """A clip of 0 takes the force away; under twice the clip half the torque in force is as much as before."""
    old = rk.ComplianceParams(rotational_clip_min=[-0.05] * 3, rotational_clip_max=[0.05] * 3)
    new = rk.ComplianceParams(
        translational_stiffness_n_m=1000.0, translational_clip_min_m=[0.0] * 3, translational_clip_max_m=[0.0] * 3,
        rotational_stiffness_nm=20.0, rotational_clip_min=[-0.1] * 3, rotational_clip_max=[0.1] * 3,
    )  # fmt: skip
    first = first_gains(stiffness_vector(old, is_drawn=True), old, new, is_drawn=True)
    assert first[0] == 1000.0
    assert first[1] == pytest.approx(75.0 / 2, rel=0.01)


@dataclass
class Arm:
    """What the filter publishes to, and the arm's clock, which stands still between two steps."""

    now_s: float | None = 10.0
    is_tracked: bool = True
    poses: list[np.ndarray] = field(default_factory=list)

    def publish(self, pose: np.ndarray) -> bool:
        self.poses.append(pose)
        return self.is_tracked

    def read_clock(self) -> float | None:
        return self.now_s


def pose_at(x_m: float, turn_rad: float = 0.0) -> np.ndarray:
    return make_pose(np.array((x_m, 0.0, 0.0)), np.array((0.0, 0.0, np.sin(turn_rad / 2), np.cos(turn_rad / 2))))


@pytest.fixture
def arm():
    return Arm()


@pytest.fixture
def smooth(arm):
    built = SmoothTarget(0.2, arm.publish, arm.read_clock)
    built.jump(pose_at(0.0))
    return built


def test_a_step_goes_the_share_of_the_way_that_the_arms_own_time_allows(arm, smooth):
    arm.now_s = 50.0
    smooth.approach(pose_at(1.0))
    for passed_s, left in [(0.0, 1.0), (0.2, np.exp(-1)), (0.1, np.exp(-1.5))]:
        arm.now_s += passed_s
        smooth._step()
        assert arm.poses[-1][0] == pytest.approx(1.0 - left)
    smooth.approach(pose_at(-1.0))
    smooth._step()
    assert arm.poses[-1][0] == pytest.approx(1.0 - np.exp(-1.5)), "a new goal is no leap"


def test_a_goal_is_reached_when_both_ways_to_it_are_short(arm, smooth):
    goal = pose_at(2e-6, 1e-3)
    smooth.approach(goal)
    arm.now_s += 0.5
    smooth._step()
    assert smooth._wake.is_set()
    assert arm.poses[-1] is not goal
    arm.now_s += 1.0
    smooth._step()
    assert arm.poses[-1] is goal
    assert not smooth._wake.is_set()
    arm.now_s += 30.0
    smooth.approach(pose_at(1.0))
    smooth._step()
    assert arm.poses[-1][0] == pytest.approx(0.0, abs=1e-5), "the time at rest does not count"


def test_at_rest_the_pose_is_published_again_and_again_and_quicker_while_it_is_not_tracked_whole(arm, smooth):
    smooth._step()
    assert not smooth._wake.is_set()
    assert len(arm.poses) == 2
    arm.is_tracked = False
    smooth._step()
    assert smooth._wake.is_set()
    smooth._step()
    assert smooth._wake.is_set()
    arm.is_tracked = True
    smooth._step()
    assert not smooth._wake.is_set()


def test_out_of_control_nothing_is_published_and_the_filter_rests(arm, smooth):
    smooth.approach(pose_at(1.0))
    arm.now_s = None
    smooth._step()
    assert not smooth._wake.is_set()
    assert len(arm.poses) == 1
    smooth.repeat()
    assert len(arm.poses) == 2


def test_a_jump_that_is_not_tracked_whole_is_gone_on_with(arm, smooth):
    arm.is_tracked = False
    smooth.jump(pose_at(1.0))
    assert arm.poses[-1][0] == 1.0
    assert smooth._wake.is_set()
    arm.now_s += 0.1
    smooth._step()
    assert arm.poses[-1][0] == 1.0


def test_without_a_time_constant_a_goal_is_followed_at_once_and_stays(arm):
    at_once = SmoothTarget(0.0, arm.publish, arm.read_clock)
    at_once.jump(pose_at(0.0))
    at_once.approach(pose_at(1.0))
    arm.is_tracked = False
    arm.now_s += 1.0
    at_once._step()
    at_once._step()
    assert [pose[0] for pose in arm.poses] == [0.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("time_constant_s", [0.0, 0.2])
def test_whatever_is_published_or_made_the_goal_is_so_under_the_filters_lock(arm, time_constant_s, monkeypatch):
    """The caller and the filter's own thread would overtake each other otherwise."""
    held: list[bool] = []
    smooth = SmoothTarget(time_constant_s, lambda pose: held.append(smooth._lock._is_owned()) or True, arm.read_clock)
    monkeypatch.setattr(smooth, "_now_s", lambda: held.append(smooth._lock._is_owned()) or 10.0)  # asked on each change
    smooth.jump(pose_at(0.0))
    smooth.approach(pose_at(1.0))
    smooth._step()
    smooth.repeat()
    assert len(held) >= 3
    assert all(held)


def test_what_is_closed_publishes_nothing_and_its_thread_ends(arm, smooth):
    smooth.approach(pose_at(1.0))
    smooth.close()
    smooth._step()
    smooth._run()
    assert len(arm.poses) == 1
    assert not smooth._wake.is_set()


def test_the_filters_thread_keeps_no_program_from_ending(smooth, monkeypatch):
    """Also that of an arm which nobody has disconnected."""
    started: list[threading.Thread] = []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: started.append(thread))
    smooth.start()
    assert [(thread.name, thread.daemon) for thread in started] == [("franka-target", True)]


def test_the_thread_looks_at_an_arm_at_rest_less_often_than_at_one_under_way(arm, smooth, monkeypatch):
    naps_s: list[float] = []
    monkeypatch.setattr(target.time, "sleep", naps_s.append)
    monkeypatch.setattr(smooth._wake, "wait", lambda timeout_s: naps_s.append(timeout_s) or smooth._wake.is_set())
    steps = iter((lambda: None, lambda: smooth.approach(pose_at(1.0)), smooth.close))
    monkeypatch.setattr(smooth, "_step", lambda: next(steps)())
    smooth._run()
    at_rest_s, again_s, under_way_s, pause_s = naps_s
    assert at_rest_s == again_s == under_way_s > pause_s > 0.0
    assert at_rest_s <= 0.05
