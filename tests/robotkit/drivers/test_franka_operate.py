"""`robotkit recover`, `home` and `gripper` on the Franka drivers, through libfranka's protocol."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.cli import main
from robotkit.cli.operation import connection, gripper, home, recover
from tests.support.franky_sim import FrankaSimulator
from tests.support.franky_sim.cells import franka_cell
from tests.support.waiting import wait_until


def test_an_arm_in_a_reflex_is_recovered_and_goes_home(monkeypatch, capsys):
    """Each command is a process of its own: what one leaves behind, the next one finds in the control box."""
    with FrankaSimulator(is_lockstep=True) as simulator:

        def open_cell(name: str, token: str | None) -> rk.Workcell:
            return rk.make_workcell(franka_cell(simulator.host))

        for module in (connection, gripper, home, recover):
            monkeypatch.setattr(module, "open_cell", open_cell)
        with open_cell("franka", None) as cell:
            home_rad = cell.robot.spec.reset_joint_positions_rad
            aside_rad = home_rad + np.array((0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1))
            cell.robot.move_to_joint_positions(aside_rad)
            simulator.inject(reflex="cartesian_reflex")
            wait_until(lambda: cell.robot.get_state().mode == "fault")
        assert main(["home", "franka", "--yes"]) == 1
        assert "cartesian_reflex" in capsys.readouterr().err
        assert main(["recover", "franka", "--yes"]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "The arm is in a fault: cartesian_reflex" in said
        assert "The arm is holding." in said
        with open_cell("franka", None) as cell:
            np.testing.assert_allclose(cell.robot.get_state().joint_positions_rad, aside_rad, atol=0.03)
        assert main(["home", "franka", "--yes"]) == 0
        assert "joint 1 turns farthest, 0." in capsys.readouterr().out
        with open_cell("franka", None) as cell:
            np.testing.assert_allclose(cell.robot.get_state().joint_positions_rad, home_rad, atol=0.03)
        assert main(["gripper", "franka", "0.5"]) == 0
        with open_cell("franka", None) as cell:
            assert cell.gripper.get_state().position == pytest.approx(0.5, abs=0.05)
