"""`make_safe`: puts any arm inside its limits."""

from __future__ import annotations

from robotkit.clock import Clock
from robotkit.devices import AdaptedRobot, BaseRobotServer, StatefulRobotServer
from robotkit.safety.robot import SafeRobot
from robotkit.schema import SafetyLimits


def make_safe(robot: BaseRobotServer, limits: SafetyLimits, clock: Clock) -> SafeRobot:
    """Put `robot` inside `limits`; one without the project's state machine gets it.

    Args:
        robot: the body.
        limits: None in a field switches that limit off.
        clock: the cell's; on one that runs by itself a thread watches for silence, force, speed and place.

    Raises:
        InvalidConfiguration: a limit that this arm cannot keep, or a real arm without the limits that it needs.
    """
    inner = robot if isinstance(robot, StatefulRobotServer) else AdaptedRobot(robot)
    return SafeRobot(inner, limits, clock)
