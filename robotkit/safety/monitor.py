"""`Monitor`: checks each measurement, and says when the arm has to be stopped because of it."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np

from robotkit.quaternions import angle_between
from robotkit.safety.body import BodyBounds
from robotkit.schema import RobotSpec, RobotState, SafetyLimits
from robotkit.workspace import BoxBounds, distance_outside

FORCE_CODE = "force_limit_exceeded"
_TIMES_TOO_FAST = 2
"""Number of measurements in a row that are too fast when the arm is stopped: a single one may be noise of a
derivative."""
_EXCESS_S = 0.02
"""How much farther than at the allowed speed the arm may have gone: so many seconds of it. An arm that follows its
targets with a lag starts each step fast, and faster when a command comes late."""
_ANGLE_MARGIN_RAD = 0.1
_PLACE_PERIOD_S = 0.02
"""Time between two looks at how far the arm has gone: late stamps and noise of the place count little over so long."""


@dataclass(frozen=True)
class Trip:
    """Why the arm has to be stopped."""

    cause: str
    code: str = "robot_stopped"


class Monitor:
    """Holds measured force, speed and place against the limits; NaN counts as too much.

    An arm that is outside its place when watching begins (a person moved it there) may come back: it is stopped when it
    goes farther out than it has been since by more than the margin.

    The tool is held against the box where it is measured, the links against the planes where the kinematics says.
    """

    def __init__(self, spec: RobotSpec, limits: SafetyLimits) -> None:
        self._limits = limits
        self._links = None
        if spec.kinematics is not None and (limits.planes or limits.link_clearance_m is not None):
            self._links = BodyBounds(spec.kinematics, None, limits.planes, limits.link_clearance_m, 0.0)
        self._max_force_n = _or_infinite(limits.max_force_n)
        self._max_torque_nm = _or_infinite(limits.max_torque_nm)
        self._watches_force = limits.max_force_n is not None or limits.max_torque_nm is not None
        factor = limits.measured_speed_factor
        self._max_speed_m_s = factor * _or_infinite(limits.max_tcp_speed_m_s)
        self._max_turn_rad_s = factor * _or_infinite(limits.max_tcp_rotation_speed_rad_s)
        self._max_joint_rad_s = factor * _or_infinite(limits.max_joint_speed_rad_s)
        speeds = (self._max_speed_m_s, self._max_turn_rad_s, self._max_joint_rad_s)
        self._watches_speed = not all(math.isinf(speed) for speed in speeds)
        self._box = None if limits.workspace is None else BoxBounds(limits.workspace)
        self._lock = threading.RLock()  # a signal handler may measure between any two lines
        self.rearms = 0
        self.rearm()

    def rearm(self) -> None:
        """Begin again, after a connection or a recovery: the arm's present pose is then allowed."""
        with self._lock:
            self.rearms += 1
            margin_m = self._limits.measured_margin_m
            self._tool_m, self._tool_rad, self._links_m = _Leash(margin_m), _Leash(_ANGLE_MARGIN_RAD), _Leash(margin_m)
            self._fast_stamp_s, self._told, self._seen = math.nan, _Excess(), _Excess()
            self._before: RobotState | None = None

    def check(self, state: RobotState, rearms: int, *, watches_links: bool) -> Trip | None:
        """The fault that this measurement shows, or None. The check of the links takes some 0.1 ms.

        Args:
            state: the measurement.
            rearms: `self.rearms` from before it was made. A thread may come late with a measurement from before a
                recovery: it is not checked, and does not set how far outside its bounds the recovered arm may be.
            watches_links: whether the links are looked at too.
        """
        with self._lock:
            if rearms != self.rearms:
                return None
            if self._watches_force:
                trip = self._check_force(state)
                if trip is not None:
                    return trip
            if self._watches_speed:
                trip = self._check_speed(state)
                if trip is not None:
                    return trip
            if self._box is not None:
                trip = self._check_tool(state)
                if trip is not None:
                    return trip
            return self._check_links(state) if watches_links and self._links is not None else None

    def _check_force(self, state: RobotState) -> Trip | None:
        fx, fy, fz, tx, ty, tz = state.wrench_in_tcp.tolist()
        force_n = math.sqrt(fx * fx + fy * fy + fz * fz)
        torque_nm = math.sqrt(tx * tx + ty * ty + tz * tz)
        if force_n <= self._max_force_n and torque_nm <= self._max_torque_nm:
            return None
        return Trip(
            f"the tool felt {force_n:.1f} N and {torque_nm:.1f} Nm; at most {self._max_force_n} N and "
            f"{self._max_torque_nm} Nm are allowed. Free it first",
            FORCE_CODE,
        )

    def _check_speed(self, state: RobotState) -> Trip | None:
        elapsed_s = state.stamp_s - self._fast_stamp_s
        if elapsed_s == 0.0:
            return None
        self._fast_stamp_s = state.stamp_s
        vx, vy, vz, wx, wy, wz = state.tcp_twist_in_base.tolist()
        speed_m_s = math.sqrt(vx * vx + vy * vy + vz * vz)
        turn_rad_s = math.sqrt(wx * wx + wy * wy + wz * wz)
        joint_rad_s = 0.0
        if math.isfinite(self._max_joint_rad_s):
            joint_rad_s = float(np.abs(state.joint_velocities_rad_s).max())
        # A NaN makes the sum one, and is too fast.
        shares = speed_m_s / self._max_speed_m_s, turn_rad_s / self._max_turn_rad_s, joint_rad_s / self._max_joint_rad_s
        share = max(shares) if math.isfinite(sum(shares)) else math.inf
        if self._told.is_too_much(share, elapsed_s):
            return self._too_fast("was measured at", speed_m_s, turn_rad_s, joint_rad_s)
        return self._check_change_of_place(state)

    def _check_change_of_place(self, state: RobotState) -> Trip | None:
        """Check the speeds by how far the arm has gone: a driver may tell no speed, or a wrong one."""
        before = self._before
        elapsed_s = math.inf if before is None else state.stamp_s - before.stamp_s
        if 0.0 <= elapsed_s < _PLACE_PERIOD_S:
            return None
        self._before = state
        if before is None or elapsed_s < 0.0:
            return None
        start, end = before.tcp_pose_in_base.tolist(), state.tcp_pose_in_base.tolist()
        speed_m_s, turn_rad_s = math.dist(start[:3], end[:3]) / elapsed_s, angle_between(start[3:], end[3:]) / elapsed_s
        joint_rad_s = float(np.abs(state.joint_positions_rad - before.joint_positions_rad).max()) / elapsed_s
        share = max(
            speed_m_s / self._max_speed_m_s, turn_rad_s / self._max_turn_rad_s, joint_rad_s / self._max_joint_rad_s
        )
        if self._seen.is_too_much(share, elapsed_s):
            return self._too_fast("has moved at", speed_m_s, turn_rad_s, joint_rad_s)
        return None

    def _too_fast(self, what: str, speed_m_s: float, turn_rad_s: float, joint_rad_s: float) -> Trip:
        return Trip(
            f"the arm {what} {speed_m_s:.3f} m/s, {turn_rad_s:.3f} rad/s at the tool and {joint_rad_s:.3f} rad/s at a "
            f"joint; {self._limits.measured_speed_factor:g} times its speed limits is {self._max_speed_m_s:.3f} m/s, "
            f"{self._max_turn_rad_s:.3f} rad/s and {self._max_joint_rad_s:.3f} rad/s"
        )

    def _check_tool(self, state: RobotState) -> Trip | None:
        assert self._box is not None and self._limits.workspace is not None  # noqa: PT018
        pose = state.tcp_pose_in_base.tolist()
        distance_m = angle_rad = 0.0
        if not self._box.contains(pose):
            distance_m, angle_rad = distance_outside(state.tcp_pose_in_base, self._limits.workspace)
        if not self._tool_m.allows(distance_m) or not self._tool_rad.allows(angle_rad):
            return Trip(
                f"the tool was measured {distance_m:.3f} m and {angle_rad:.3f} rad outside the workspace box: "
                f"{self._box.describe(pose)}"
            )
        return None

    def _check_links(self, state: RobotState) -> Trip | None:
        assert self._links is not None
        depth = self._links.depth(state.joint_positions_rad)
        if self._links_m.allows(depth.distance_m):
            return None
        return Trip(f"the arm was measured {depth.distance_m:.3f} m beyond its bounds: {depth.text}")


class _Excess:
    """How often in a row the arm was too fast, and how much farther than at the allowed speed it has gone."""

    def __init__(self) -> None:
        self._times, self._excess_s = 0, 0.0

    def is_too_much(self, share: float, elapsed_s: float) -> bool:
        """Count a speed, as a share of the allowed one, that lasted for `elapsed_s`."""
        if share <= 1.0:
            self._times, self._excess_s = 0, 0.0
            return False
        self._times += 1
        # Without a measurement before, it is not known for how long.
        self._excess_s += (share - 1.0) * (elapsed_s if elapsed_s > 0.0 else _EXCESS_S)
        return self._times >= _TIMES_TOO_FAST and self._excess_s >= _EXCESS_S


class _Leash:
    """How far outside something may be: the margin; more only for what was farther out when watching began."""

    def __init__(self, margin: float) -> None:
        self._margin = margin
        self._allowed: float | None = None

    def allows(self, distance: float) -> bool:
        """Whether it may be `distance` outside; coming nearer shortens the leash to what is left and the margin."""
        if self._allowed is None:
            self._allowed = distance + self._margin
        if not distance <= self._allowed:
            return False
        self._allowed = min(self._allowed, distance + self._margin)
        return True


def _or_infinite(limit: float | None) -> float:
    return math.inf if limit is None else limit
