"""`keep_from_control`: a command that only reads an arm leaves it to its own controller."""

from __future__ import annotations

from robotkit.devices import BaseRobotServer, StatefulRobotServer
from robotkit.remote.devices import RemoteRobot
from robotkit.safety import SafeRobot


class Kept:
    """A stop that a reading command has latched, so that control does not start; nobody else's.

    Args:
        robot: the arm, before it is connected.
        reader: the command, which becomes the author of the stop.
    """

    def __init__(self, robot: SafeRobot | StatefulRobotServer, reader: str) -> None:
        robot.stop_for("the arm is only read", reader)
        self._machine = robot.machine
        self._seen = robot.machine.stops

    @property
    def is_alone(self) -> bool:
        """True while nobody else has stopped the arm: then whoever latched this stop may recover from it."""
        return self._machine.stops == self._seen


def keep_from_control(robot: BaseRobotServer, reader: str) -> Kept | None:
    """Keep the arm from control, before `connect()`; a person may guide it meanwhile.

    Args:
        robot: the arm.
        reader: the command, which becomes the author of the stop.

    Returns:
        The stop; None for an arm behind a server, which is under the server's control already, and stays so.
    """
    if isinstance(robot, RemoteRobot):
        return None
    assert isinstance(robot, SafeRobot | StatefulRobotServer), "a workcell's arm has the state machine"
    return Kept(robot, reader)
