"""`keep_from_control`: a command that only reads an arm leaves it to its own controller."""

from __future__ import annotations

from robotkit.devices import BaseRobotServer
from robotkit.remote.devices import RemoteRobot


def keep_from_control(robot: BaseRobotServer, reader: str) -> None:
    """Before `connect()`: latch a stop, so that control does not start; a person may guide the arm meanwhile.

    An arm behind a server is under the server's control already, and stays so.

    Args:
        robot: the arm.
        reader: the command, which becomes the author of the stop.
    """
    if not isinstance(robot, RemoteRobot):
        robot.stop_for("the arm is only read", reader)
