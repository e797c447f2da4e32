"""Whether an arm can keep the limits of its cell, asked before anything is connected."""

from __future__ import annotations

from robotkit.devices import StatefulRobotServer
from robotkit.errors import InvalidConfiguration, Unsupported
from robotkit.safety.compliance import compliance_excess
from robotkit.schema import SafetyLimits

NEEDED = {
    "workspace": "where its tool may go",
    "max_tcp_speed_m_s": "how fast",
    "max_tcp_rotation_speed_rad_s": "how fast the tool may turn",
    "watchdog_s": "how long it goes on after its client fell silent",
    "state_max_age_s": "how old a measurement may be that it is moved, held and judged by",
}
"""What no real arm is moved without, and what each says."""


def require_fitting(robot: StatefulRobotServer, limits: SafetyLimits) -> None:
    """Refuse limits that `robot` cannot keep, and a real arm without the limits that it needs.

    Raises:
        InvalidConfiguration: names the limits, why, and what to do.
    """
    spec, name = robot.spec, robot.spec.name
    missing = [f"limits.{limit} ({what})" for limit, what in NEEDED.items() if getattr(limits, limit) is None]
    if missing and not spec.is_simulated and not limits.unlimited:
        raise InvalidConfiguration(
            f"the real arm {name!r} does not start without limits: set {', '.join(missing)} in the workcell file "
            "(docs/safety.md has an example). `limits.unlimited = true` starts it without them, at your own risk"
        )
    if not spec.measures_wrench and (limits.max_force_n is not None or limits.max_torque_nm is not None):
        raise InvalidConfiguration(
            f"arm {name!r} measures no force, so limits.max_force_n and limits.max_torque_nm cannot be kept: remove "
            "them, and bound the force by limits.compliance or a gripper's own sensor"
        )
    if spec.kinematics is None:
        _require_no_need_of_kinematics(name, limits, takes_joints="joint" in spec.command_kinds)
    excess = None if robot.compliance is None else compliance_excess(robot.compliance, limits.compliance)
    if excess is not None:
        raise InvalidConfiguration(f"the impedance law that arm {name!r} starts with is outside its own cell: {excess}")


def _require_no_need_of_kinematics(name: str, limits: SafetyLimits, *, takes_joints: bool) -> None:
    if limits.planes or limits.link_clearance_m is not None:
        raise InvalidConfiguration(
            f"arm {name!r} does not tell its kinematics, so limits.planes and limits.link_clearance_m cannot be kept: "
            "give its spec `kinematics`, or remove them"
        )
    if takes_joints and limits.workspace is not None and not limits.unlimited:
        raise InvalidConfiguration(
            f"arm {name!r} takes joint commands but does not tell its kinematics, so limits.workspace cannot be kept "
            'for them: give its spec `kinematics`, or take "joint" out of its command_kinds'
        )


def require_no_bound_on_the_tool(name: str, limits: SafetyLimits) -> None:
    """Refuse a joint motion of an arm that does not tell its kinematics, in a cell that bounds its tool.

    Raises:
        Unsupported: names the limits that could not be kept.
    """
    bounds = ("workspace", "max_tcp_speed_m_s", "max_tcp_rotation_speed_rad_s")
    kept = [f"limits.{bound}" for bound in bounds if getattr(limits, bound) is not None]
    if kept and not limits.unlimited:
        raise Unsupported(
            f"arm {name!r} does not tell its kinematics, so a joint motion of it cannot keep {', '.join(kept)}: give "
            "its spec `kinematics` (docs/new_robot.md), or go there with pose commands"
        )
