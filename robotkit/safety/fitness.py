"""Checks that an arm can keep the limits of its cell, made before anything is connected."""

from __future__ import annotations

import math

import numpy as np

from robotkit.devices import StatefulRobotServer
from robotkit.errors import InvalidConfiguration
from robotkit.kinematics import ForwardKinematics
from robotkit.quaternions import angle_between
from robotkit.safety.compliance import compliance_excess
from robotkit.schema import RobotSpec, RobotState, SafetyLimits
from robotkit.schema.kinematics import KinematicChain

NEEDED = {
    "workspace": "where its tool may go",
    "max_tcp_speed_m_s": "how fast",
    "max_tcp_rotation_speed_rad_s": "how fast the tool may turn",
    "watchdog_s": "how long it goes on after its client fell silent",
    "state_max_age_s": "how old a measurement may be that it is moved, held and judged by",
}
"""Limits that no real arm is moved without, and what each says."""
_TWO_TURNS_RAD = 4 * math.pi
_MARGIN_M = 0.2
"""The largest margin of a real arm: a box that is left farther than that bounds nothing."""
_ROOM_M = 2.0
"""Planes may be walls that the arm does not reach; a number of millimetres is farther away."""
_RANGES_BEYOND_OWN = 2.0
_SPEEDS_ABOVE_OWN = 3.0
_KINEMATICS_M, _KINEMATICS_RAD = 0.01, math.radians(2.0)
"""How well measured joints and measured tool have to agree: the calibrated lengths of an arm are within millimetres."""


def require_fitting(robot: StatefulRobotServer, limits: SafetyLimits, *, is_lockstep: bool) -> None:
    """Refuse limits that `robot` cannot keep, and a real arm without those that it needs or on a clock that stands.

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
    if limits.measured_margin_m > _MARGIN_M and not spec.is_simulated:
        raise InvalidConfiguration(
            f"limits.measured_margin_m is {limits.measured_margin_m:g} m; the real arm {name!r} may be measured at "
            f"most {_MARGIN_M:g} m outside its box: give it in metres"
        )
    if is_lockstep and not spec.is_simulated:
        raise InvalidConfiguration(
            f"the real arm {name!r} cannot be in a lock-step cell: between two steps no time would pass for its "
            'watchdog, its monitor and the age of its state. Set clock = "real"'
        )
    if not spec.measures_wrench and (limits.max_force_n is not None or limits.max_torque_nm is not None):
        raise InvalidConfiguration(
            f"arm {name!r} measures no force, so limits.max_force_n and limits.max_torque_nm cannot be kept: remove "
            "them, and bound the force by limits.compliance or a gripper's own sensor"
        )
    _require_radians(spec, limits)
    _require_joint_speed(spec, limits)
    if spec.kinematics is not None:
        _require_reach(spec, limits, _reach_m(spec, spec.kinematics))
    if spec.kinematics is None:
        _require_no_need_of_kinematics(name, limits, takes_joints="joint" in spec.command_kinds)
    excess = None if robot.compliance is None else compliance_excess(robot.compliance, limits.compliance)
    if excess is not None:
        raise InvalidConfiguration(f"the impedance law that arm {name!r} starts with is outside its own cell: {excess}")


def require_true_kinematics(spec: RobotSpec, state: RobotState) -> None:
    """Refuse an arm whose kinematics do not lead from its measured joints to its measured tool.

    Joint targets, paths, planes and links are checked with the kinematics, the box with the measured tool.

    Raises:
        InvalidConfiguration: says how far they are apart.
    """
    if spec.kinematics is None:
        return
    told = ForwardKinematics(spec.kinematics).tcp_pose(state.joint_positions_rad).tolist()
    measured = state.tcp_pose_in_base.tolist()
    distance_m, angle_rad = math.dist(told[:3], measured[:3]), angle_between(told[3:], measured[3:])
    if distance_m > _KINEMATICS_M or angle_rad > _KINEMATICS_RAD:
        raise InvalidConfiguration(
            f"the kinematics of arm {spec.name!r} put its tool {distance_m:.3f} m and {math.degrees(angle_rad):.1f} "
            f"degrees from where it is measured, at {np.round(measured, 3).tolist()}; at most {_KINEMATICS_M:g} m and "
            f"{math.degrees(_KINEMATICS_RAD):g} degrees are allowed. Give both the same base and the same tool "
            "(tcp_in_last_link)"
        )


def _reach_m(spec: RobotSpec, chain: KinematicChain) -> float:
    """How far from the base the tool can be at most, by the lengths of the links."""
    reach_m = float(np.linalg.norm(chain.tcp_in_last_link[:3]))
    for joint in chain.joints:
        reach_m += float(np.linalg.norm(joint.origin_in_parent[:3]))
        if joint.kind == "prismatic":
            ends_m = spec.joint_position_min_rad[joint.index], spec.joint_position_max_rad[joint.index]
            reach_m += float(np.abs(ends_m).max())
    return reach_m


def _require_reach(spec: RobotSpec, limits: SafetyLimits, reach_m: float) -> None:
    """Refuse a box and planes that no configuration of the arm reaches, or that it cannot be inside of."""
    box = limits.workspace
    nearest_m = np.zeros(3) if box is None else np.clip(np.zeros(3), box.position_min_m, box.position_max_m)
    distance_m = float(np.linalg.norm(nearest_m))
    if distance_m > reach_m:
        raise InvalidConfiguration(
            f"limits.workspace begins {distance_m:.2f} m from the base of arm {spec.name!r}, at {nearest_m.tolist()}; "
            f"the arm reaches at most {reach_m:.2f} m: give the box in metres, in the frame of the arm's base"
        )
    if box is not None and not (limits.unlimited or spec.is_simulated):
        least_m = min(float(-box.position_min_m.max()), float(box.position_max_m.min()))
        if least_m > reach_m:
            raise InvalidConfiguration(
                f"limits.workspace, {box.position_min_m.tolist()} to {box.position_max_m.tolist()}, bounds nothing: "
                f"arm {spec.name!r} reaches at most {reach_m:.2f} m. Give the box in which the task is done"
            )
    for plane in limits.planes:
        away_m = abs(float(np.dot(plane.point_in_base_m, plane.normal_in_base)))
        if away_m > reach_m + _ROOM_M:
            raise InvalidConfiguration(
                f"the plane {plane.name!r} is {away_m:.2f} m from the base of arm {spec.name!r}, which reaches at most "
                f"{reach_m:.2f} m: give point_in_base_m in metres, in the frame of the arm's base"
            )


def _require_joint_speed(spec: RobotSpec, limits: SafetyLimits) -> None:
    """Refuse a joint speed far above every joint's own: it bounds nothing, and is in degrees."""
    asked, own = limits.max_joint_speed_rad_s, float(spec.joint_velocity_max_rad_s.max())
    if asked is not None and asked > _SPEEDS_ABOVE_OWN * own:
        raise InvalidConfiguration(
            f"limits.max_joint_speed_rad_s is {asked:g} rad/s; the fastest joint of arm {spec.name!r} does {own:.4g} "
            "rad/s: give it in rad/s, not in degrees/s"
        )


def _require_radians(spec: RobotSpec, limits: SafetyLimits) -> None:
    """Refuse a joint limit far beyond the arm's own range: it bounds nothing, and is in degrees."""
    low, high = spec.joint_position_min_rad, spec.joint_position_max_rad
    for name in ("joint_position_min_rad", "joint_position_max_rad"):
        asked = getattr(limits, name)
        if asked is not None and len(asked) == len(low):
            farthest = np.minimum(_TWO_TURNS_RAD, _RANGES_BEYOND_OWN * np.maximum(np.abs(low), np.abs(high)))
            is_wrong = (np.abs(asked) > farthest) & ((asked < low) | (asked > high))
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
