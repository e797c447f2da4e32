"""`ArmStopContract`: stop, hold, recovery and disconnection of an arm."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import robotkit as rk
from robotkit.testing import moves
from robotkit.testing.cell_contract import CellContract
from robotkit.workcell import Workcell


class ArmStopContract(CellContract):
    """Laws of stops, holds and recoveries; `ArmContract` says what the cell needs."""

    def test_stop_refuses_every_command_until_recover(self, cell: Workcell) -> None:
        """A stopped arm refuses commands until it is recovered; a second stop changes nothing."""
        command = moves.nudged(cell)
        cell.robot.stop()
        cell.robot.stop()
        with pytest.raises(rk.RobotStopped):
            cell.robot.send(command)
        with pytest.raises(rk.RobotStopped):
            cell.robot.move_to_joint_positions(cell.robot.get_state().joint_positions_rad)
        assert cell.robot.get_state().mode == "stopped"
        cell.robot.recover()
        assert cell.robot.get_state().mode != "stopped"
        cell.robot.send(command)

    def test_stop_in_a_motion_holds_still(self, cell: Workcell) -> None:
        """A stop in a motion brings the arm to rest before its target, also after the recovery."""
        start = moves.tcp_pose(cell)
        target = moves.nudged(cell, min(0.1, 0.8 * moves.translation_step_m(cell)))
        cell.robot.send(target)
        moves.wait(cell, 0.04)
        cell.robot.stop()
        moves.wait(cell, 0.5)
        stopped = moves.tcp_pose(cell)
        assert moves.distance_m(stopped, target) > 0.3 * moves.distance_m(start, target)
        moves.wait(cell, 0.3)
        np.testing.assert_allclose(moves.tcp_pose(cell)[:3], stopped[:3], atol=2e-3)
        cell.robot.recover()
        moves.wait(cell, 0.3)
        np.testing.assert_allclose(moves.tcp_pose(cell)[:3], stopped[:3], atol=moves.ARRIVAL_M)

    def test_stop_comes_from_any_thread(self, cell: Workcell) -> None:
        """Another thread can stop the arm."""
        command = moves.nudged(cell, 0.01)
        cell.robot.send(command)
        stopper = threading.Thread(target=cell.robot.stop)
        stopper.start()
        stopper.join(5.0)
        assert not stopper.is_alive()
        with pytest.raises(rk.RobotStopped):
            cell.robot.send(command)

    def test_hold_makes_the_measured_configuration_the_target(self, cell: Workcell) -> None:
        """`hold` ends the approach to the target where the arm is, and begins a new target epoch."""
        target = moves.nudged(cell, min(0.1, 0.8 * moves.translation_step_m(cell)))
        cell.robot.send(target)
        moves.wait(cell, 0.04)
        epoch = cell.robot.get_state().target_epoch
        cell.robot.hold()
        moves.wait(cell, 0.3)
        held = cell.robot.get_state()
        assert held.mode == "holding"
        assert held.target_epoch > epoch
        moves.wait(cell, 0.5)
        np.testing.assert_allclose(moves.tcp_pose(cell)[:3], held.tcp_pose_in_base[:3], atol=moves.ARRIVAL_M)
        cell.robot.send(moves.nudged(cell))

    def test_the_mode_says_what_the_arm_does(self, cell: Workcell) -> None:
        """`RobotState.mode` follows command, stop and recovery; a stop is taken, and a recovery counts."""
        before = cell.robot.get_state()
        assert before.mode == "holding"
        cell.robot.send(moves.nudged(cell))
        assert cell.robot.get_state().mode == "tracking"
        cell.robot.stop_for("a test", "somebody")
        stopped = cell.robot.get_state()
        assert stopped.mode == "stopped"
        assert stopped.stop is not None
        assert not stopped.is_halt_owed
        assert not stopped.moves_on
        cell.robot.recover()
        recovered = cell.robot.get_state()
        assert recovered.mode == "holding"
        assert recovered.stop is None
        assert recovered.recoveries == before.recoveries + 1

    def test_a_stop_outlasts_a_reset_of_the_world_and_a_hold(self, cell: Workcell) -> None:
        """Neither a hold nor a reset of the world undoes a stop."""
        cell.robot.stop()
        cell.robot.hold()
        if cell.can_place_objects:
            cell.reset(seed=1)
        assert cell.robot.get_state().mode == "stopped"
        with pytest.raises(rk.RobotStopped):
            cell.robot.send(moves.nudged(cell))

    def test_a_disconnected_arm_says_so(self, cell: Workcell) -> None:
        """A disconnected arm raises `NotConnected`."""
        command = moves.nudged(cell)
        cell.disconnect()
        assert not cell.robot.is_connected
        with pytest.raises(rk.NotConnected):
            cell.robot.get_state()
        with pytest.raises(rk.NotConnected):
            cell.robot.send(command)
        with pytest.raises(rk.NotConnected):
            cell.robot.move_to_joint_positions(cell.robot.spec.reset_joint_positions_rad)
