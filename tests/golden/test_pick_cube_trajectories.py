"""The cell `mujoco-pick-cube`, driven as SERL's environment drives its own, follows SERL's recorded episodes.

The model has no meshes. As long as only the pads touch the block that makes no difference, and the trajectories of one
MuJoCo release agree to rounding (SERL adds its actions in float32). In the push and press cases a finger's mesh touches
the block, and sliding contact is chaotic: there only the size of what happens is compared. Between releases the solver
differs: millimetres in a grasp.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

import robotkit as rk
from sims.scenes.pick_cube import WORKSPACE_MAX_M, WORKSPACE_MIN_M
from tests.golden import recordings

KIND = "pickcube_serl"
DOWN = np.array((1.0, 0.0, 0.0, 0.0))


@dataclass(frozen=True)
class Tolerance:
    tcp_m: float
    block_m: float
    velocity_m_s: float
    episode_return: float


MESH_CONTACT = ("push_0", "push_1", "press")
SAME_RELEASE = Tolerance(tcp_m=1e-6, block_m=1e-6, velocity_m_s=1e-5, episode_return=1e-4)
OTHER_RELEASE = Tolerance(tcp_m=2e-3, block_m=2e-3, velocity_m_s=2e-2, episode_return=0.1)
SLIDING = Tolerance(tcp_m=2e-2, block_m=5e-2, velocity_m_s=0.5, episode_return=0.35)


def _tolerance(version: str, case: str) -> Tolerance:
    if case in MESH_CONTACT:
        return SLIDING
    return SAME_RELEASE if recordings.is_installed(version) else OTHER_RELEASE


@pytest.fixture(scope="module", params=recordings.versions(KIND))
def recorded(request) -> Iterator[tuple[str, rk.Workcell]]:
    """A recording's version, and the cell with that release's idea of the gripper's masses."""
    masses = "serl_2.3.7" if request.param.startswith("2.") else "3.x"
    with rk.make_workcell("mujoco-pick-cube", **{"world.masses": masses}) as cell:
        yield request.param, cell


def _replay(cell: rk.Workcell, actions: np.ndarray, block_xy: np.ndarray) -> list[rk.CellState]:
    """SERL's step: the action moves the target by up to 0.1 m inside the box, and opens or closes the fingers."""
    states = [cell.reset(None, {"block": np.array((*block_xy, 0.02, 0.0, 0.0, 0.0, 1.0))})]
    target_m, closed = states[0].robot.tcp_pose_in_base[:3], 0.0
    for action in actions.astype(np.float64):
        target_m = np.clip(target_m + 0.1 * action[:3], WORKSPACE_MIN_M, WORKSPACE_MAX_M)
        closed = min(max(closed + float(action[3]), 0.0), 1.0)
        pose = rk.PoseCommand(tcp_pose_in_base=np.concatenate((target_m, DOWN)))
        states.append(cell.step(pose, rk.GripperCommand(position=1.0 - closed), 0.02))
    return states


def _rewards(tcp_m: np.ndarray, block_m: np.ndarray) -> np.ndarray:
    reach = 0.3 * np.exp(-20.0 * np.linalg.norm(block_m - tcp_m, axis=1))
    return (reach + 0.7 * np.clip((block_m[:, 2] - block_m[0, 2]) / 0.2, 0.0, 1.0))[1:]


@pytest.mark.parametrize("case", recordings.cases(recordings.versions(KIND)[0]))
def test_episode_follows_the_recording(recorded, case):
    version, cell = recorded
    golden = {key: recordings.load(KIND, version)[f"{case}/{key}"] for key in
              ("actions", "block_xy", "tcp_pos", "tcp_vel", "block_pos", "obs_gripper_pos", "reward")}  # fmt: skip
    states = _replay(cell, golden["actions"], golden["block_xy"])
    tcp_m = np.array([state.robot.tcp_pose_in_base[:3] for state in states])
    block_m = np.array([state.poses["block"].pose_in_base[:3] for state in states])
    velocity_m_s = np.array([state.robot.tcp_twist_in_base[:3] for state in states])
    closed = np.array([1.0 - state.gripper.target_position for state in states])
    tolerance = _tolerance(version, case)
    np.testing.assert_allclose(tcp_m, golden["tcp_pos"], rtol=0.0, atol=tolerance.tcp_m)
    np.testing.assert_allclose(block_m, golden["block_pos"], rtol=0.0, atol=tolerance.block_m)
    np.testing.assert_allclose(velocity_m_s, golden["tcp_vel"], rtol=0.0, atol=tolerance.velocity_m_s)
    np.testing.assert_allclose(closed, golden["obs_gripper_pos"].ravel(), rtol=0.0, atol=1e-6)
    assert _rewards(tcp_m, block_m).sum() == pytest.approx(golden["reward"].sum(), abs=tolerance.episode_return)
