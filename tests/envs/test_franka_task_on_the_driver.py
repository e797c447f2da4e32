"""`FrankaTask` on the Franka driver, against the arm's protocol: what a lab runs, without the arm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import robotkit as rk
from envs import franka_env
from envs.tasks import PRECISION
from envs.tasks.reach_pose import REACH_POSE
from envs.wrappers import relative_view
from robotkit.schema import ComplianceParams, WorkspaceBox
from tests.support.franky_sim import shared_simulator
from tests.support.franky_sim.cells import franka_cell
from tests.support.franky_sim.clock import SimulatedTime

SOFT = ComplianceParams(translational_stiffness_n_m=1500.0)


@pytest.fixture
def cell():
    built = rk.make_workcell(franka_cell(shared_simulator().host))
    built.clock = SimulatedTime(shared_simulator())  # a busy machine makes the arm slow, not the steps short
    with built:
        built.robot.recover()
        built.reset()
        yield built


def test_an_episode_starts_where_it_should_and_ends_at_the_target(cell):
    """Precision law, up, back in small steps, arrival, soft law; then the tool's own axes lead to the target."""
    start = cell.get_state().robot.tcp_pose_in_base
    here = (float(start[0]) + 0.05, float(start[1]), float(start[2]) - 0.05)
    target = (here[0] + 0.04, here[1] + 0.02, here[2] + 0.03)
    config = replace(
        REACH_POSE,
        reset_pose_in_base=(*here, *start[3:]),
        target_pose_in_base=(*target, *start[3:]),
        workspace=WorkspaceBox(
            position_min_m=np.array(here) - 0.08, position_max_m=np.array(here) + 0.08,
            reference_quaternion_xyzw=start[3:],
            rotation_vector_min_rad=(-0.3,) * 3, rotation_vector_max_rad=(0.3,) * 3,
        ),
        reset_xy_m=0.0, reset_rz_rad=0.0, lift_m=0.03, compliance=SOFT, precision=PRECISION,
    )  # fmt: skip
    env = relative_view(franka_env(config, cell))
    for _ in range(2):
        observation, info = env.reset(seed=0)
        assert not info["success"]
        assert np.abs(observation["state"][4:10]).max() < 1e-6, "poses count from where the episode starts"
        arm = cell.get_state().robot
        assert np.linalg.norm(arm.tcp_pose_in_base[:3] - here) < config.arrival_tolerance_m
        assert arm.mode in ("holding", "tracking")
        way = rk.spatial.quaternion_from_matrix(rk.spatial.matrix_from_quaternion(arm.tcp_pose_in_base[3:]).T)
        goal = rk.spatial.rotate_vec6(way, np.array((*np.subtract(target, here), 0, 0, 0)))[:3]
        for _ in range(40):
            action = np.zeros(7, np.float32)
            action[:3] = np.clip((goal - observation["state"][4:7]) / config.translation_scale_m, -1, 1)
            observation, reward, terminated, _, info = env.step(action)
            if terminated:
                break
        assert (reward, terminated, info["success"]) == (1.0, True, True)
    env.close()
