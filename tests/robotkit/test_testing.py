"""The public contracts: what they say to a plugin's author, and that they see what is wrong with a body."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import robotkit as rk
from robotkit import testing
from robotkit.testing import moves
from robotkit.testing.cell_contract import CellContract

PROGRAM = """
import robotkit as rk
from robotkit.testing import ArmContract, CameraContract, GripperContract

class Same:
    def __init__(self, camera):
        self.spec, self.is_connected, self.frame = camera.spec, True, camera.read()
    def connect(self): ...
    disconnect = connect
    def read(self):
        return self.frame

def wrong(change):
    def make_cell(self):
        cell = rk.make_workcell("fake")
        cell.connect()
        change(cell)
        return cell
    return make_cell
"""
WRONG = {
    "ArmContract.test_stop_refuses_every_command_until_recover": "setattr(cell.robot, 'stop', lambda: None)",
    "ArmContract.test_hold_makes_the_measured_configuration_the_target": "setattr(cell.robot, 'hold', lambda: None)",
    "ArmContract.test_send_does_not_wait_and_the_arm_arrives": "setattr(cell.robot, 'send', lambda command: command)",
    "ArmContract.test_a_bad_target_has_its_own_error_and_leaves_the_target": (
        "setattr(cell.robot, 'send', cell.robot.inner.send)"
    ),
    "GripperContract.test_open_and_close_are_the_ends": "setattr(cell.gripper, 'move', lambda position: None)",
    "CameraContract.test_a_frame_is_nobody_elses_memory": "cell.cameras.update(front=Same(cell.cameras['front']))",
}
"""By law: what makes the cell under test break it."""


def run(folder: Path, *tests: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def test_a_contract_sees_a_body_that_breaks_it(tmp_path):
    program, wanted = PROGRAM, []
    for number, (law, change) in enumerate(WRONG.items()):
        contract, _, name = law.partition(".")
        program += f"class Test{number}({contract}):\n    make_cell = wrong(lambda cell: {change})\n"
        wanted.append(f"test_mine.py::Test{number}::{name}")
    (tmp_path / "test_mine.py").write_text(program)
    shown = run(tmp_path, *wanted)
    failed = {line.split()[1].partition("[")[0] for line in shown.splitlines() if line.startswith("FAILED")}
    assert failed == set(wanted), shown


def test_a_class_without_a_cell_says_what_to_write(tmp_path):
    (tmp_path / "test_mine.py").write_text(
        "from robotkit.testing import ArmContract\nclass TestMine(ArmContract): ...\n"
    )
    shown = run(tmp_path, "test_mine.py::TestMine::test_spec_is_consistent")
    assert "TestMine has no cell to test: let its make_cell() return a workcell" in shown


def test_every_law_says_in_a_sentence_what_it_is():
    classes = [getattr(testing, name) for name in testing.__all__]
    laws = [getattr(one, name) for one in classes for name in dir(one) if name.startswith("test_")]
    assert len(laws) > 50
    assert all(law.__doc__ and law.__doc__.endswith(".") for law in laws)
    assert all(issubclass(one, CellContract) or one is testing.TeleopContract for one in classes)


def test_a_cell_without_the_limits_that_a_contract_needs_is_told_so():
    with rk.make_workcell("fake", limits={}) as cell:
        for need, name in (
            (moves.nudged, "workspace"),
            (moves.translation_step_m, "max_translation_step_m"),
            (moves.joint_step_rad, "max_joint_step_rad"),
        ):
            with pytest.raises(AssertionError, match=f"needs a cell with limits.{name}"):
                need(cell)
