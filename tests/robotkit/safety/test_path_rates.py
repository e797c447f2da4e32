"""Laws of how fast a joint path may be gone: its fastest moment is at the limit that it meets first."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import robotkit as rk
from robotkit.devices import ArmMachine
from robotkit.kinematics import ForwardKinematics
from robotkit.safety.steps import StepLimit
from robotkit.spatial import angle_between
from tests.robotkit.test_kinematics import random_chain
from tests.support.recording_arm import RecordingArm

LIMITS = {"max_tcp_speed_m_s": 0.2, "max_tcp_rotation_speed_rad_s": 0.5, "max_joint_speed_rad_s": 0.3}
SPEC = RecordingArm().spec


def step_limit(limits: dict[str, float], **spec: object) -> StepLimit:
    spec_ = SPEC.model_copy(update=spec)
    return StepLimit(ArmMachine("arm", lambda: 0.0), spec_, rk.SafetyLimits(**limits), lambda: pytest.fail("measured"))


def fastest(chain: rk.KinematicChain, start_rad: np.ndarray, goal_rad: np.ndarray) -> dict[str, float]:
    """The highest speeds of a path that is gone in a second, from the poses along it."""
    shares = np.linspace(0.0, 1.0, 2001)[:, None]
    poses = ForwardKinematics(chain).tcp_poses(start_rad + shares * (goal_rad - start_rad))
    turns = [angle_between(one[3:], other[3:]) for one, other in pairwise(poses)]
    ways = np.linalg.norm(np.diff(poses[:, :3], axis=0), axis=1)
    speeds = 2000 * ways.max(), 2000 * max(turns), np.abs(goal_rad - start_rad).max()
    return dict(zip(LIMITS, speeds, strict=True))


@pytest.mark.parametrize("bounded", [*([limit] for limit in LIMITS), list(LIMITS)], ids=[*LIMITS, "all"])
@pytest.mark.parametrize("seed", [0, 1, 3, 4, 5])  # arms of which some joints turn
def test_b8_the_fastest_moment_of_a_path_is_at_a_limit_and_none_is_beyond(bounded, seed):
    rng = np.random.default_rng(seed)
    chain = random_chain(rng, 7)
    start, goal = rng.uniform(-1.0, 1.0, (2, 7))
    limits = {limit: LIMITS[limit] for limit in bounded}
    rate_hz = step_limit(limits, kinematics=chain).path_rate_max_hz(start, goal)
    speeds = fastest(chain, start, goal)
    assert max(rate_hz * speeds[limit] / LIMITS[limit] for limit in bounded) == pytest.approx(1.0, abs=0.02)


def test_b8_the_joint_that_takes_longest_says_how_fast_an_arm_goes_by_itself():
    own_rad_s = np.array((1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0))
    steps, here = step_limit({}, joint_velocity_max_rad_s=own_rad_s), SPEC.reset_joint_positions_rad
    way = np.array((0.1, -1.0, 1.6, 0.0, 0.0, 0.0, 0.0))
    assert steps.own_path_rate_hz(here, here + way) == pytest.approx(2.0), "the second takes 0.5 s"
    assert steps.path_rate_max_hz(here, here + way) == pytest.approx(2.0)
