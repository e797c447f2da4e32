"""The highest speed of a blocking joint motion that keeps the speed limits of its cell."""

from __future__ import annotations

import numpy as np

from robotkit.devices import StatefulRobotServer
from robotkit.errors import Unsupported
from robotkit.safety.steps import StepLimit
from robotkit.schema import SafetyLimits

_SHORT_WAY_S = 0.02
"""A joint path which takes no longer at the allowed speed is too short to be measured as too fast, or leads nowhere."""


def path_rate_max_hz(
    arm: StatefulRobotServer, limits: SafetyLimits, steps: StepLimit, start_rad: np.ndarray, goal_rad: np.ndarray
) -> float:
    """The share of the straight joint path that may be done in a second.

    Raises:
        Unsupported: the arm cannot be told that speed, and its own may be higher; or it does not tell where its joints
            bring the tool, and the cell bounds the tool.
    """
    name = arm.spec.name
    if arm.spec.kinematics is None:
        _require_no_bound_on_the_tool(name, limits)
    allowed_hz = steps.path_rate_max_hz(start_rad, goal_rad)
    own_hz = steps.own_path_rate_hz(start_rad, goal_rad)
    is_short = allowed_hz >= 1.0 / _SHORT_WAY_S
    if allowed_hz < own_hz and not is_short and not arm.bounds_joint_motions:
        raise Unsupported(
            f"arm {name!r} does joint motions at its own speed, this one in as little as {1.0 / own_hz:.2f} s; the "
            f"speed limits of the cell allow {1.0 / allowed_hz:.2f} s. Go there with commands, or let its "
            "move_to_joint_positions take rate_max_hz (docs/new_robot.md)"
        )
    return allowed_hz


def _require_no_bound_on_the_tool(name: str, limits: SafetyLimits) -> None:
    """Refuse a joint motion of an arm that does not tell its kinematics, in a cell that bounds its tool."""
    bounds = ("workspace", "max_tcp_speed_m_s", "max_tcp_rotation_speed_rad_s")
    kept = [f"limits.{bound}" for bound in bounds if getattr(limits, bound) is not None]
    if kept and not limits.unlimited:
        raise Unsupported(
            f"arm {name!r} does not tell its kinematics, so a joint motion of it cannot keep {', '.join(kept)}: give "
            "its spec `kinematics` (docs/new_robot.md), or go there with pose commands"
        )
