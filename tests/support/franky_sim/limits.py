"""What the control box watches in every cycle, beyond the packets: speeds, joint ranges and collision thresholds."""

from __future__ import annotations

import numpy as np
from franky_sim.base_simulator import InnerRobotState

JOINT_MIN_RAD = np.array((-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159))
JOINT_MAX_RAD = np.array((2.7437, 1.7837, 2.9007, -0.1518, 2.8065, 4.5169, 3.0159))
JOINT_SPEED_MAX_RAD_S = np.array((2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26))
TOOL_SPEED_MAX_M_S = 3.0
"""FR3's limits, from Franka's page of robot and interface specifications."""

_FILTER_CYCLES = 20
"""First-order filter on the external wrench, so that the blow of one contact cycle is no collision."""


class Watch:
    """Finds the first limit that the arm breaks, and keeps the peaks."""

    def __init__(self) -> None:
        self.torque_max_nm = np.full(7, np.inf)
        self.wrench_max = np.full(6, np.inf)
        self.feels_contact = True
        """False: no contact is a collision."""
        self.feels_ranges = True
        """False: a joint may be at the end of its range, to be led out of it."""
        self.joint_speed_share_peak = 0.0
        """Largest share of its limit that any joint's speed has reached."""
        self._wrench = np.zeros(6)

    def violation(self, state: InnerRobotState, jacobian: np.ndarray, wrench: np.ndarray) -> str | None:
        """The error that this cycle latches.

        Args:
            state: joints.
            jacobian: of the tool centre point in the base frame, (6, 7).
            wrench: what the world exerts on the tool, in the base frame, (6,).
        """
        q, dq = np.array(state.q), np.array(state.dq)
        share = float((np.abs(dq) / JOINT_SPEED_MAX_RAD_S).max())
        self.joint_speed_share_peak = max(self.joint_speed_share_peak, share)
        self._wrench += (wrench - self._wrench) / _FILTER_CYCLES
        if share > 1.0:
            return "joint_velocity_violation"
        if self.feels_ranges and ((q < JOINT_MIN_RAD).any() or (q > JOINT_MAX_RAD).any()):
            return "joint_position_limits_violation"
        if np.linalg.norm((jacobian @ dq)[:3]) > TOOL_SPEED_MAX_M_S:
            return "cartesian_velocity_violation"
        if not self.feels_contact:
            return None
        if (np.abs(jacobian.T @ self._wrench) > self.torque_max_nm).any():
            return "joint_reflex"
        return "cartesian_reflex" if (np.abs(self._wrench) > self.wrench_max).any() else None
