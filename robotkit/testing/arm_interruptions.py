"""`ArmInterruptionContract`: the effect of a stop, a hold or a command on a joint motion that runs."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.testing import moves
from robotkit.testing.cell_contract import CellContract
from robotkit.workcell import Workcell


class ArmInterruptionContract(CellContract):
    """Laws of joint motions that are interrupted; most of them need a cell whose clock is the real one.

    The first joint of the arm has to be free to turn by 0.2 rad from where it stands after `reset`.
    """

    def test_stop_interrupts_a_joint_motion(self, cell: Workcell) -> None:
        """A stop ends a joint motion."""
        if cell.clock.is_lockstep:
            pytest.skip("in lock-step the motion takes no time in which it could be stopped")
        start = cell.robot.get_state().joint_positions_rad[0]
        assert isinstance(moves.interrupted(cell, cell.robot.stop), rk.MotionFailed | rk.RobotStopped)
        state = cell.robot.get_state()
        assert state.mode == "stopped"
        assert abs(state.joint_positions_rad[0] - start) < 0.19

    def test_a_stop_that_comes_when_a_joint_motion_may_begin_lets_nothing_move(self, cell: Workcell) -> None:
        """A stop after the motion was allowed, and before the device is told, lets nothing move."""
        machine = getattr(cell.robot, "machine", None)
        if machine is None:
            pytest.skip("the state machine of this arm is on the server, whose body has to keep the law")
        before_rad, begin = cell.robot.get_state().joint_positions_rad.copy(), machine.begin_travel
        goal_rad = before_rad.copy()
        goal_rad[0] += 0.1

        def begin_and_stop(rate_max_hz: float) -> rk.Travel:
            travel: rk.Travel = begin(rate_max_hz)
            cell.robot.stop()
            return travel

        machine.begin_travel = begin_and_stop
        try:
            with pytest.raises(rk.MotionFailed):
                cell.robot.move_to_joint_positions(goal_rad)
        finally:
            machine.begin_travel = begin
        moves.wait(cell, 0.1)
        state = cell.robot.get_state()
        assert state.mode == "stopped"
        np.testing.assert_allclose(state.joint_positions_rad, before_rad, atol=2e-3)

    def test_a_command_during_a_joint_motion_is_refused_and_the_motion_goes_on(self, cell: Workcell) -> None:
        """A command during a joint motion is refused, and the motion arrives."""
        if cell.clock.is_lockstep:
            pytest.skip("in lock-step the motion takes no time in which something could be sent")
        command = moves.nudged(cell)
        refused: list[rk.RobotkitError] = []

        def send() -> None:
            for call in (lambda: cell.robot.send(command), cell.robot.reset):
                try:
                    call()
                except rk.RobotkitError as error:
                    refused.append(error)

        assert moves.interrupted(cell, send) is None
        assert len(refused) == 2
        assert all(isinstance(error, rk.CommandRejected) for error in refused)

    def test_hold_ends_a_joint_motion(self, cell: Workcell) -> None:
        """`hold` ends a joint motion."""
        if cell.clock.is_lockstep:
            pytest.skip("in lock-step the motion takes no time in which it could be held")
        start = cell.robot.get_state().joint_positions_rad[0]
        assert isinstance(moves.interrupted(cell, cell.robot.hold), rk.MotionFailed | rk.RobotStopped)
        moves.wait(cell, 0.3)
        held = cell.robot.get_state()
        assert held.mode in ("holding", "stopped"), "an arm that can end a motion only by a stop is stopped"
        assert abs(held.joint_positions_rad[0] - start) < 0.19
        moves.wait(cell, 0.3)
        np.testing.assert_allclose(cell.robot.get_state().joint_positions_rad, held.joint_positions_rad, atol=0.02)
