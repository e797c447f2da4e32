"""The safety layer: wrappers that are themselves arms, each with one thing that it refuses.

Nothing is clamped here. A command outside a limit is refused with an error that says what was asked, what is allowed
and what to do, and the arm goes on with its previous target. (Bounding an action is the client's work.)
"""

from __future__ import annotations

from robotkit.clock import Clock
from robotkit.devices import BaseRobotServer
from robotkit.safety.force import ForceLimit
from robotkit.safety.form import CommandForm
from robotkit.safety.freshness import Freshness
from robotkit.safety.joints import JointRange
from robotkit.safety.steps import StepLimit
from robotkit.safety.stop import LatchedStop
from robotkit.safety.watchdog import Watchdog
from robotkit.safety.workspace import WorkspaceLimit
from robotkit.safety.wrapper import SafetyWrapper
from robotkit.schema import SafetyLimits

__all__ = [
    "CommandForm", "ForceLimit", "Freshness", "JointRange", "LatchedStop", "SafetyWrapper", "StepLimit", "Watchdog",
    "WorkspaceLimit", "make_safe",
]  # fmt: skip


def make_safe(robot: BaseRobotServer, limits: SafetyLimits, clock: Clock) -> BaseRobotServer:
    """Wrap `robot` in what `limits` asks for, and always in the command's form, its joint range and the latched stop.

    From the arm outwards: step, workspace, joint range, form; then the stop, so that a stopped arm answers "stopped" to
    every command; then age and force of what is measured, which stop through the latch; the watchdog outermost.

    Args:
        robot: the body.
        limits: None in a field switches that limit off.
        clock: the cell's; on one that runs by itself a thread watches for silence and force.

    Raises:
        InvalidConfiguration: the joint ranges do not have one number for each joint.
    """
    if _bounds_steps(limits):
        robot = StepLimit(robot, limits, clock)
    if limits.workspace is not None:
        robot = WorkspaceLimit(robot, limits.workspace)
    robot = LatchedStop(CommandForm(JointRange(robot, limits)))
    if limits.state_max_age_s is not None:
        robot = Freshness(robot, limits.state_max_age_s, clock)
    watches_force = limits.max_force_n is not None or limits.max_torque_nm is not None
    if watches_force:
        robot = ForceLimit(robot, limits)
    if not clock.is_lockstep and (limits.watchdog_s is not None or watches_force):
        robot = Watchdog(robot, limits.watchdog_s, clock)
    return robot


def _bounds_steps(limits: SafetyLimits) -> bool:
    bounds = (
        limits.max_translation_step_m,
        limits.max_rotation_step_rad,
        limits.max_joint_step_rad,
        limits.max_tcp_speed_m_s,
    )
    return any(bound is not None for bound in bounds)
