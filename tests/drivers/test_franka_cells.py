"""The workcell files for a lab validate against the drivers that they name."""

from __future__ import annotations

from pathlib import Path

import pytest

import robotkit as rk

_CELLS = Path(__file__).parents[2] / "examples" / "cells"


@pytest.mark.parametrize("name", ["franka_hand", "franka_robotiq_realsense"])
def test_a_lab_file_builds_its_cell_without_touching_hardware(name):
    cell = rk.make_workcell(_CELLS / f"{name}.toml")
    assert cell.robot.spec.name == "franka"
    assert not cell.is_connected
    force_bound_n = cell.limits.max_force_n
    assert force_bound_n is not None
    assert force_bound_n < cell.robot.config.collision_force_n
