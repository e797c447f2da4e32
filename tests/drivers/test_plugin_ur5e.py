"""A third party's arm: listed, served, trained in, and held to the suite of every arm, with no change to robotkit."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest

import envs  # noqa: F401  (registers the ids)
import robotkit as rk
from robotkit import registry as registry_module
from robotkit import spatial
from robotkit.registry import Registry, grippers
from tests.contracts import test_arm
from tests.contracts.test_arm import *  # noqa: F403  (pytest collects the suite here, with the `cell` below)
from tests.drivers.plugin_ur5e import PLUGIN, metadata_in
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


@pytest.fixture
def cell(robots: Registry) -> Iterator[rk.Workcell]:
    """The plugin's own cell, in lock-step."""
    overrides = {"world": {"type": "fake"}, "clock": "lockstep"}
    with rk.make_workcell("ur5e-bench", **overrides) as built:
        yield built


def test_stop_interrupts_a_joint_motion(robots):
    """The suite's own, on the wall's clock: in lock-step the motion takes no time in which it could be stopped."""
    with rk.make_workcell("ur5e-bench") as realtime:
        test_arm.test_stop_interrupts_a_joint_motion(realtime)


def test_listing_imports_nothing_of_it(python_path):
    program = "import sys, robotkit as rk; print('ur5e' in rk.robots.names(), 'robotkit_ur5e' in sys.modules)"
    assert run(python_path, "-c", program).strip() == "True False"


def test_it_appears_in_the_list_with_its_options(python_path):
    shown = run(python_path, "-m", "robotkit", "list")
    assert "ur5e" in shown
    assert "joint_speed_rad_s" in shown
    assert "ur5e-bench" in shown


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


def test_a_pose_out_of_reach_is_refused(robots):
    with robots.make("ur5e") as arm, pytest.raises(rk.CommandRejected, match="does not reach"):
        arm.send(rk.PoseCommand(tcp_pose_in_base=[2.0, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0]))


def test_a_controller_without_its_package_is_a_missing_extra(robots, monkeypatch):
    monkeypatch.setitem(sys.modules, "rtde_control", None)
    with pytest.raises(rk.MissingExtra, match=r"robotkit-ur5e\[rtde\]"):
        robots.make("ur5e", host="192.0.2.1").connect()


def test_what_a_controller_is_told_and_tells(robots, monkeypatch):
    """Against a stand-in for ur-rtde: the calls, not a controller."""
    joints, targets = [2.8, -1.6, 2.1, -2.0, -1.5, -1.8], []
    control = SimpleNamespace(
        servoJ=lambda target, *limits: targets.append(target) or True, servoStop=lambda: None, disconnect=lambda: None
    )
    receive = SimpleNamespace(
        isConnected=lambda: True, getActualQ=lambda: joints, getActualQd=lambda: [0.1] * 6,
        getActualTCPForce=lambda: [0.0, 0.0, 5.0, 0.0, 0.0, 0.0], disconnect=lambda: None,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "rtde_control", SimpleNamespace(RTDEControlInterface=lambda host: control))
    monkeypatch.setitem(sys.modules, "rtde_receive", SimpleNamespace(RTDEReceiveInterface=lambda host: receive))
    with robots.make("ur5e", host="192.0.2.1") as arm:
        state = arm.get_state()
        np.testing.assert_allclose(state.joint_positions_rad, joints)
        force_in_base = spatial.rotate_vec6(state.tcp_pose_in_base[3:], state.wrench_in_tcp)
        np.testing.assert_allclose(force_in_base, [0, 0, 5, 0, 0, 0], atol=1e-9)
        arm.send(rk.JointCommand(joint_positions_rad=np.array(joints) + 0.01))
        np.testing.assert_allclose(targets, [np.array(joints) + 0.01])
        receive.isConnected = lambda: False
        with pytest.raises(rk.DeviceFault, match="closed the connection"):
            arm.get_state()


def test_the_cell_of_the_docs_is_a_valid_file():
    page = (REPOSITORY / "docs" / "new_robot.md").read_text()
    blocks = [tomllib.loads(block.partition("```")[0]) for block in page.split("```toml\n")[1:]]
    config = rk.WorkcellConfig.model_validate(blocks[-1])
    assert config.robot.type in blocks[0]["project"]["entry-points"]["robotkit.robots"]
    grippers.validate(config.gripper.type, config.gripper.options)


def run(python_path: str, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": python_path, "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, cwd=REPOSITORY, env=environment
    )
    return done.stdout
