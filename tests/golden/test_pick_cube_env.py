"""`PandaPickCube-v0` against SERL's own simulator: the recorded actions must give the recorded episodes.

The recordings are read from `$ROBOTKIT_GOLDEN_DIR/sim` when that is set, else from `data/sim`.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import gymnasium
import mujoco
import numpy as np
import pytest

import envs  # noqa: F401  (registers the ids)

CASES = (
    "expert_0", "expert_1", "expert_2", "expert_3", "random_0", "random_1", "random_2", "smooth_0", "smooth_1", "hold",
    "corners", "gripper", "drop",
)  # fmt: skip
# In these a finger's back, which SERL models with meshes, shoves the block: sliding is chaotic.
PUSHING = ("push_0", "push_1", "press")
# SERL ran on these; MuJoCo computes the masses of two gripper meshes differently since 3.0.
MASSES = {"2.3.7": "serl_2.3.7", "3.17.0": "3.x"}
KEYS = {
    "panda/tcp_pos": "obs_tcp_pos", "panda/tcp_vel": "obs_tcp_vel", "panda/gripper_pos": "obs_gripper_pos",
    "block_pos": "obs_block_pos",
}  # fmt: skip


@cache
def recording(version):
    override = os.environ.get("ROBOTKIT_GOLDEN_DIR")
    directory = Path(override) if override else Path(__file__).parent / "data"
    with np.load(directory / "sim" / f"pickcube_serl_mujoco{version}.npz") as file:
        return dict(file)


def episode(version, case):
    """Drive the env with a case's actions: observations by key (101, ...), rewards (100,), the last step's end."""
    recorded = {key: recording(version)[f"{case}/{key}"] for key in ("actions", "block_xy", "reward", *KEYS.values())}
    env = gymnasium.make("PandaPickCube-v0", cell_overrides={"world.masses": MASSES[version]})
    observations = [env.reset(options={"block_xy": recorded["block_xy"]})[0]["state"]]
    rewards = []
    for action in recorded["actions"]:
        observation, reward, terminated, truncated, _ = env.step(action)
        observations.append(observation["state"])
        rewards.append(reward)
    env.close()
    assert (terminated, truncated) == (False, True)
    return {key: np.array([state[key] for state in observations]) for key in KEYS}, np.array(rewards), recorded


@pytest.mark.parametrize("version", MASSES)
@pytest.mark.parametrize("case", CASES)
def test_free_motion_grasp_lift_and_drop(version, case):
    observed, rewards, recorded = episode(version, case)
    is_same = mujoco.__version__ == version
    tolerance_m = 1e-6 if is_same else 2e-3
    for key in ("panda/tcp_pos", "block_pos"):
        assert observed[key].dtype == recorded[KEYS[key]].dtype == np.float32
        np.testing.assert_allclose(observed[key], recorded[KEYS[key]], rtol=0, atol=tolerance_m, err_msg=key)
    np.testing.assert_allclose(
        observed["panda/tcp_vel"], recorded["obs_tcp_vel"], rtol=0, atol=1e-5 if is_same else 0.1
    )
    np.testing.assert_allclose(observed["panda/gripper_pos"], recorded["obs_gripper_pos"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(rewards.sum(), recorded["reward"].sum(), rtol=0, atol=1e-5 if is_same else 0.1)
    if is_same:
        np.testing.assert_allclose(rewards, recorded["reward"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("version", MASSES)
@pytest.mark.parametrize("case", PUSHING)
def test_pushing_moves_the_block_about_as_far(version, case):
    observed, rewards, recorded = episode(version, case)
    np.testing.assert_allclose(observed["block_pos"][-1], recorded["obs_block_pos"][-1], rtol=0, atol=0.05)
    np.testing.assert_allclose(rewards.sum(), recorded["reward"].sum(), rtol=0, atol=0.4)
