"""Every workcell file for a lab validates against the drivers that it names; the simulated one runs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

import robotkit as rk
from envs.tasks.reach import Reach
from robotkit.safety.fitness import NEEDED

_ROOT = Path(__file__).parents[3]
_FILES = sorted((_ROOT / "examples" / "cells").glob("*.toml"))
_LAB = next(file for file in _FILES if file.stem == "mujoco")
_FRANKA = [file for file in _FILES if file.stem.startswith("franka")]


def test_there_are_files():
    assert {file.stem for file in _FILES} >= {"franka_hand", "franka_robotiq_realsense", "mujoco"}


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.stem)
def test_a_lab_file_builds_its_cell_without_touching_hardware(file):
    cell = rk.make_workcell(file)
    assert cell.gripper is not None
    assert cell.cameras
    assert cell.limits.workspace is not None
    assert not cell.is_connected


@pytest.mark.parametrize("guide", ["README.md", "docs/safety.md", "docs/new_robot.md"])
def test_b8_the_limits_that_a_guide_shows_are_enough_for_a_real_arm(guide):
    blocks = re.findall(r"```toml\n(.*?)```", (_ROOT / guide).read_text(encoding="utf-8"), flags=re.S)
    shown = [rk.SafetyLimits.model_validate(tomllib.loads(block)["limits"]) for block in blocks if "[limits]" in block]
    assert shown
    assert all(getattr(limits, name) is not None for limits in shown for name in NEEDED)


@pytest.mark.parametrize("file", _FRANKA, ids=lambda file: file.stem)
def test_the_arm_is_stopped_before_its_own_reflex(file):
    cell = rk.make_workcell(file)
    force_bound_n = cell.limits.max_force_n
    assert force_bound_n is not None
    assert (force_bound_n < cell.robot.config.collision_force_n[:3]).all()


@pytest.mark.parametrize("file", [*_FRANKA, _LAB], ids=lambda file: file.stem)
def test_the_reach_task_fits_into_the_labs(file):
    Reach().require_devices(rk.make_workcell(file))


def test_the_simulated_lab_runs():
    with rk.make_workcell(_LAB) as cell:
        start = cell.reset(seed=0).robot.tcp_pose_in_base
        goal = start + np.array((0.03, 0.0, -0.02, 0.0, 0.0, 0.0, 0.0))
        for _ in range(20):
            state = cell.step(rk.PoseCommand(tcp_pose_in_base=goal), rk.GripperCommand(position=0.0), 0.1)
        cell.robot.set_compliance(rk.ComplianceParams())  # only the impedance law has one
        np.testing.assert_allclose(state.robot.tcp_pose_in_base[:3], goal[:3], atol=0.003)
        assert state.gripper.position < 0.2
        assert state.poses["block"].pose_in_base[2] == pytest.approx(0.02, abs=1e-3)
        assert all(camera.read().rgb.shape == (128, 128, 3) for camera in cell.cameras.values())
