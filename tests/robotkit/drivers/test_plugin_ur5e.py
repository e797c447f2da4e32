"""A third party's arm: listed, served, trained in, and held to the suite of every arm, with no change to robotkit."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib

import gymnasium
import numpy as np
import pytest

import envs  # noqa: F401  (registers the ids)
import robotkit as rk
from robotkit import registry as registry_module
from robotkit import spatial
from robotkit.registry import Registry, grippers
from robotkit.safety.fitness import NEEDED
from tests.robotkit.drivers.plugin_ur5e import PLUGIN, metadata_in
from tests.serving import REPOSITORY, server_process


@pytest.fixture(scope="module")
def python_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return os.pathsep.join((str(metadata_in(tmp_path_factory.mktemp("site"))), str(PLUGIN)))


@pytest.fixture
def robots(python_path: str, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The registry as a new process would find it."""
    for path in python_path.split(os.pathsep):
        monkeypatch.syspath_prepend(path)
    fresh: Registry = Registry("robot", rk.BaseRobotServer, {"fake": "robotkit.drivers.fake:FakeRobot"})
    monkeypatch.setattr(registry_module, "robots", fresh)
    return fresh


def test_it_keeps_the_laws_of_every_arm_in_tests_of_its_own(python_path):
    """As its makers run them: pytest in a process of its own, with the plugin's settings."""
    shown = run(python_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(PLUGIN / "tests"))
    passed = re.search(r"(\d+) passed", shown)
    assert passed is not None
    assert int(passed[1]) >= 30


def test_b13_a_real_arm_does_not_start_without_limits(robots):
    with pytest.raises(rk.InvalidConfiguration, match=".*".join(NEEDED)):
        rk.make_workcell("ur5e-bench", **{"robot.host": "192.0.2.1", "limits": {"max_joint_step_rad": 0.3}})


def test_listing_imports_nothing_of_it(python_path):
    program = "import sys, robotkit as rk; print('ur5e' in rk.robots.names(), 'robotkit_ur5e' in sys.modules)"
    assert run(python_path, "-c", program).strip() == "True False"


def test_it_appears_in_the_list_with_its_options(python_path):
    shown = run(python_path, "-m", "robotkit", "list")
    assert "ur5e" in shown
    assert "ur5e-bench" in shown
    assert "joint_speed_rad_s" in run(python_path, "-m", "robotkit", "list", "ur5e")


def test_a_server_serves_it_and_an_environment_moves_it(python_path):
    with server_process("--cell", "ur5e-bench", PYTHONPATH=python_path) as (url, _):
        env = gymnasium.make("PandaPickCube-v0", cell=url)
        observation, _ = env.reset(seed=0)
        start_m = observation["state"]["panda/tcp_pos"]
        np.testing.assert_allclose(start_m, [0.45, 0.0, 0.3], atol=0.01)
        for _ in range(10):
            observation, *_ = env.step(np.array([0.0, 0.2, -0.2, 1.0], np.float32))
        moved_m = observation["state"]["panda/tcp_pos"] - start_m
        assert moved_m[1] > 0.05
        assert moved_m[2] < -0.05
        env.close()


def test_the_jacobian_is_the_derivative_of_the_pose(robots):
    from robotkit_ur5e import kinematics

    joints, step = np.array([0.3, -1.2, 1.0, -1.6, -1.4, 0.4]), 1e-6
    pose, jacobian = kinematics.tcp_pose(joints), kinematics.jacobian(joints)
    for index in range(kinematics.JOINTS):
        moved = kinematics.tcp_pose(joints + step * np.eye(6)[index])
        turn = spatial.rotation_vector_between(pose[3:], moved[3:])
        np.testing.assert_allclose(np.r_[moved[:3] - pose[:3], turn] / step, jacobian[:, index], atol=1e-4)


def test_the_cell_of_the_docs_is_a_valid_file():
    page = (REPOSITORY / "docs" / "new_robot.md").read_text()
    blocks = [tomllib.loads(block.partition("```")[0]) for block in page.split("```toml\n")[1:]]
    config = rk.WorkcellConfig.model_validate(blocks[-1])
    assert config.robot.type in blocks[0]["project"]["entry-points"]["robotkit.robots"]
    grippers.validate(config.gripper.type, config.gripper.options)


@pytest.mark.parametrize("page", ["README.md", "docs/new_robot.md"])
def test_b13_the_docs_name_what_a_body_implements(page):
    text = (REPOSITORY / page).read_text()
    named = set(re.findall(r"(?:def |\| `)(_[a-z]+(?:_[a-z]+)*)\b", text))
    assert set(rk.StatefulRobotServer.__abstractmethods__) <= named
    assert all(hasattr(rk.StatefulRobotServer, name) for name in named)


def run(python_path: str, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": python_path, "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, cwd=REPOSITORY, env=environment
    )
    return done.stdout
