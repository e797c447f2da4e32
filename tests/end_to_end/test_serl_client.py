"""SERL's own environment drives our server: an episode of peg insertion ends as it does in our environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import numpy as np
import pytest
from pydantic import ValidationError
from scipy.spatial.transform import Rotation

import robotkit as rk
from envs.core import ManipulationEnv
from envs.experts.insertion import PEG_STRATEGY, InsertionExpert
from envs.tasks.franka import franka_actions
from envs.tasks.insertion import Insertion
from envs.tasks.peg_insertion import PEG
from robotkit import spatial
from servers.serl import PoseRequest
from tests.serving import served
from tests.support.serl_client import CellTime, SerlPegClient, Time, WallTime

CELL = "mujoco-peg-insertion"
TARGET = np.concatenate((PEG.target[:3], (np.pi, 0.0, 0.0)))
START = TARGET + np.array((0.03, -0.02, 0.1, 0.0, 0.0, 0.3))
BESIDE = np.array((0.015, 0.0, 0.0))
"""Where there is no hole."""
STEPS = 60

Policy = Callable[[np.ndarray], np.ndarray]


def policy(goal: np.ndarray) -> Policy:
    """A script that sees the tool's pose alone, and takes it to `goal` (7,)."""
    expert = InsertionExpert(PEG, PEG_STRATEGY, size=7)
    expert.reset({})

    def act(pose: np.ndarray) -> np.ndarray:
        way = np.concatenate((goal[:3] - pose[:3], spatial.rotation_vector_between(pose[3:], goal[3:])))
        return expert.towards(way)

    return act


def aimed(off_m: np.ndarray) -> Policy:
    return policy(np.concatenate((PEG.target[:3] + off_m, PEG.target[3:])))


def is_peg_in(state: rk.CellState) -> bool:
    return Insertion(PEG).evaluate(state).is_success


@pytest.fixture
def cell() -> Iterator[rk.Workcell]:
    with rk.make_workcell(CELL) as built:
        yield built


def drive(url: str, act: Policy, clock: Callable[[httpx.Client], Time], *, joint_reset: bool) -> tuple[bool, list[str]]:
    """An episode of SERL's client: whether it says that the tool is at the target, and what it asked for."""
    with httpx.Client(base_url=url, trust_env=False, timeout=60.0) as http:
        client = SerlPegClient(http, clock(http), TARGET)
        client.close_gripper()
        pose = client.reset(START, joint_reset=joint_reset)
        for _ in range(STEPS):
            pose, is_done = client.step(act(pose))
            if is_done:
                return True, client.paths
        return False, client.paths


def ours(cell: rk.Workcell, act: Policy) -> bool:
    """The same episode in our environment."""
    env = ManipulationEnv(cell, Insertion(PEG), franka_actions(PEG))
    start = np.concatenate((START[:3], Rotation.from_euler("xyz", START[3:]).as_quat()))
    observation, info = env.reset(seed=0, options={"tcp_pose": start})
    for _ in range(STEPS):
        pose = observation["state"]["tcp_pose"].astype(np.float64)
        observation, _, terminated, _, info = env.step(act(pose))
        if terminated:
            break
    return bool(info["success"])


@pytest.mark.parametrize(("off_m", "is_success"), [(np.zeros(3), True), (BESIDE, False)], ids=["hole", "beside"])
def test_an_episode_of_serl_s_client_ends_as_in_our_environment(cell: rk.Workcell, off_m: np.ndarray, is_success: bool):
    with served(cell) as url:
        said, paths = drive(url, aimed(off_m), CellTime, joint_reset=is_success)
        assert is_peg_in(cell.get_state()) == said == is_success
    assert ("jointreset" in paths) == is_success
    assert paths[-3:] == ["clearerr", "pose", "getstate"]
    with rk.make_workcell(CELL) as fresh:
        assert ours(fresh, aimed(off_m)) == said


@pytest.mark.slow
def test_it_inserts_the_peg_in_real_time_too():
    with rk.make_workcell(CELL, clock="real") as cell, served(cell) as url:
        said, _ = drive(url, aimed(np.zeros(3)), lambda http: WallTime(), joint_reset=True)
        assert said
        assert is_peg_in(cell.get_state())


def test_quaternions_on_a_straight_line_are_normalised_and_those_through_zero_are_refused():
    """S18: SERL's client interpolates quaternions as if they were vectors."""
    here = np.concatenate((START[:3], PEG.target[3:]))
    turned = spatial.integrate_delta(here, np.zeros(3), np.array((0.0, 0.0, 2.0)))
    middle = (here + turned) / 2
    assert np.linalg.norm(middle[3:]) < 0.9
    taken = PoseRequest.model_validate({"arr": middle.tolist()}).arr
    np.testing.assert_allclose(taken, spatial.interpolate(here, turned, 0.5), atol=1e-9)
    opposite = np.concatenate((turned[:3], -turned[3:]))
    for wrong in ((here + opposite) / 2, 2.0 * here, 0.0 * here):
        with pytest.raises(ValidationError, match="length 1"):
            PoseRequest.model_validate({"arr": wrong.tolist()})
