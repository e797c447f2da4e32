"""Checks whether an arm can be commanded from a state, and recovers a simulation that nobody else can recover."""

from __future__ import annotations

import math

from robotkit import BaseRobotServer, DeviceFault, RobotkitError, Workcell
from robotkit.devices.soundness import require_pose
from robotkit.errors import error_from_code
from robotkit.safety import SafeRobot
from robotkit.safety.robot import MONITOR
from robotkit.schema import PoseCommand, RobotState


def require_ready(state: RobotState, robot: BaseRobotServer) -> None:
    """Raise unless the arm can be commanded from this state.

    Args:
        state: what was measured.
        robot: the arm; asked for its own sentence when it is in a fault.

    Raises:
        RobotStopped: a stop is latched; or the error of what stopped the arm.
        DeviceError: the arm's fault; a `DeviceFault` where the arm does not tell it, or where what it
            measures is no state of an arm.
    """
    if state.mode == "fault":
        robot.check(PoseCommand.unchecked(kind="pose", tcp_pose_in_base=state.tcp_pose_in_base))
        raise DeviceFault(
            f"the arm reports {', '.join(state.faults) or 'a fault'}; call recover() when it is safe to move again"
        )
    if state.mode == "stopped":
        stop = state.stop
        why = "" if stop is None else f": {stop.cause} (by {stop.author})"
        raise error_from_code(
            "robot_stopped" if stop is None else stop.code,
            f"the robot is stopped{why}. Call recover() when it is safe to move again",
        )
    require_pose(state.tcp_pose_in_base)
    for name in ("tcp_twist_in_base", "wrench_in_tcp", "joint_positions_rad", "joint_velocities_rad_s"):
        numbers = getattr(state, name).tolist()
        # A sum is finite only when its terms are.
        if not math.isfinite(sum(numbers)):
            raise DeviceFault(
                f"the arm measures numbers that are not finite: {name} is {numbers}. Look at its controller"
            )


def recover_own_simulation(workcell: Workcell) -> str | None:
    """Recover a simulated arm from what its own cell did to it, where no person can: in lock-step, in this process.

    Only a stop by the safety monitor and a failure of the physics end so. A stop by anybody else stays, also one that
    came after the monitor's, and so does everything at a real arm, at a cell behind a server, and at one whose clock
    runs by itself.

    Returns:
        Why the arm was down; None where nothing was recovered.
    """
    robot = workcell.robot
    if not (isinstance(robot, SafeRobot) and workcell.clock.is_lockstep and robot.spec.is_simulated):
        return None
    try:
        state = robot.get_state()
        is_by_monitor = state.stop is not None and state.stop.author == MONITOR
        has_failed = state.mode == "fault" and state.stop is None and robot.inner.restarts_after_fault
        if not (is_by_monitor or has_failed):
            return None
        robot.recover(robot.monitor_stops if is_by_monitor else state.stops)
    except RobotkitError:  # the next command says why
        return None
    return ", ".join(state.faults) if state.stop is None else state.stop.cause
