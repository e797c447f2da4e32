"""Whether an arm can keep the limits of its cell, asked before anything is connected."""

from __future__ import annotations

import math

import numpy as np

from robotkit.devices import StatefulRobotServer
from robotkit.errors import InvalidConfiguration
from robotkit.safety.compliance import compliance_excess
from robotkit.schema import RobotSpec, SafetyLimits, WorkspaceBox
from robotkit.schema.kinematics import KinematicChain

NEEDED = {
    "workspace": "where its tool may go",
    "max_tcp_speed_m_s": "how fast",
    "max_tcp_rotation_speed_rad_s": "how fast the tool may turn",
    "watchdog_s": "how long it goes on after its client fell silent",
    "state_max_age_s": "how old a measurement may be that it is moved, held and judged by",
}
"""What no real arm is moved without, and what each says."""
_TWO_TURNS_RAD = 4 * math.pi


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
    _require_radians(spec, limits)
    if spec.kinematics is not None and limits.workspace is not None:
        _require_reach(spec, spec.kinematics, limits.workspace)
    if spec.kinematics is None:
        _require_no_need_of_kinematics(name, limits, takes_joints="joint" in spec.command_kinds)
    excess = None if robot.compliance is None else compliance_excess(robot.compliance, limits.compliance)
    if excess is not None:
        raise InvalidConfiguration(f"the impedance law that arm {name!r} starts with is outside its own cell: {excess}")


def _require_reach(spec: RobotSpec, chain: KinematicChain, box: WorkspaceBox) -> None:
    """Refuse a box that no configuration of the arm brings the tool into, by the lengths of its links."""
    reach_m = float(np.linalg.norm(chain.tcp_in_last_link[:3]))
    for joint in chain.joints:
        reach_m += float(np.linalg.norm(joint.origin_in_parent[:3]))
        if joint.kind == "prismatic":
            ends_m = spec.joint_position_min_rad[joint.index], spec.joint_position_max_rad[joint.index]
            reach_m += float(np.abs(ends_m).max())
    nearest_m = np.clip(np.zeros(3), box.position_min_m, box.position_max_m)
    distance_m = float(np.linalg.norm(nearest_m))
    if distance_m > reach_m:
        raise InvalidConfiguration(
            f"limits.workspace begins {distance_m:.2f} m from the base of arm {spec.name!r}, at {nearest_m.tolist()}; "
            f"the arm reaches at most {reach_m:.2f} m: give the box in metres, in the frame of the arm's base"
        )


def _require_radians(spec: RobotSpec, limits: SafetyLimits) -> None:
    """Refuse a joint limit beyond two turns and beyond the arm's own range: it bounds nothing, and is in degrees."""
    low, high = spec.joint_position_min_rad, spec.joint_position_max_rad
    for name in ("joint_position_min_rad", "joint_position_max_rad"):
        asked = getattr(limits, name)
        if asked is not None and len(asked) == len(low):
            is_wrong = (np.abs(asked) > _TWO_TURNS_RAD) & ((asked < low) | (asked > high))
            if is_wrong.any():
                joint = int(is_wrong.argmax())
                raise InvalidConfiguration(
                    f"limits.{name} of joint {joint} is {asked[joint]:g} rad; the arm's own range is {low[joint]:.4g} "
                    f"to {high[joint]:.4g} rad: give it in radians, not in degrees"
                )


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
