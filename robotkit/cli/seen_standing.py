"""`SeenStanding`: whether the states of a stopped arm show that it stands, also through the noise of its sensors."""

from __future__ import annotations

from typing import Any

import numpy as np

_STOOD_S, _STILL = 0.2, 0.0005
"""An arm whose joints and tool were measured within so many rad and m for so long stands."""
_LONGER_S, _DRIFT_RAD_S, _DRIFT_M_S, _NOISE_RAD, _NOISE_M = 0.6, 0.012, 0.003, 0.024, 0.009
"""Time, speeds and noise of an arm that also stands: it goes no faster, by the line through its places of so long, and
is within so much of noise."""
_OLDEST_S = 3.0
"""Places that are older say nothing of the present."""


class SeenStanding:
    """Judges by nothing but what was measured after the first state that it is given, whatever speed is told."""

    def __init__(self) -> None:
        self._first_s: float | None = None
        self._stamps_s: list[float] = []
        self._places: list[np.ndarray] = []
        self._joint_count = 0

    @property
    def has_measured(self) -> bool:
        """Whether any state was measured later than the first."""
        return bool(self._stamps_s)

    def add(self, state: dict[str, Any]) -> None:
        """Add a state as a server tells it; one without a place tells nothing."""
        try:
            stamp_s, joints_rad = float(state["stamp_s"]), state["joint_positions_rad"]
            place = np.array([*joints_rad, *state["tcp_pose_in_base"][:3]], dtype=np.float64)
        except (KeyError, TypeError, ValueError):
            return
        newest_s = self._stamps_s[-1] if self._stamps_s else self._first_s
        if newest_s is None or stamp_s < newest_s - _OLDEST_S or len(joints_rad) != self._joint_count:
            self._first_s, self._stamps_s, self._places = stamp_s, [], []  # the first, or the stamps began anew
            self._joint_count = len(joints_rad)
        elif stamp_s > newest_s:
            self._stamps_s.append(stamp_s)
            self._places.append(place)

    def stands(self) -> bool:
        """Whether the arm was measured standing until the newest state."""
        shorter = self._within(_STOOD_S)
        if shorter is not None:
            joints_rad, tool_m = self._largest(np.ptp(shorter[1], axis=0))
            if max(joints_rad, tool_m) <= _STILL:
                return True
        longer = self._within(_LONGER_S)
        if longer is None:
            return False
        since_s, places = longer[0] - longer[0].mean(), longer[1]
        joints_rad_s, tool_m_s = self._largest(since_s @ places / (since_s @ since_s))
        joints_rad, tool_m = self._largest(np.ptp(places, axis=0))
        is_noise = joints_rad <= _NOISE_RAD and tool_m <= _NOISE_M
        return is_noise and joints_rad_s <= _DRIFT_RAD_S and tool_m_s <= _DRIFT_M_S

    def _within(self, span_s: float) -> tuple[np.ndarray, np.ndarray] | None:
        """Stamps and places of the last `span_s`, and no more of before than one; None where none is so old."""
        stamps_s = np.array(self._stamps_s)
        if not len(stamps_s):
            return None
        ages_s = stamps_s[-1] - stamps_s
        old = np.flatnonzero((ages_s >= span_s - 1e-9) & (ages_s <= _OLDEST_S))
        return (stamps_s[old[-1] :], np.array(self._places[old[-1] :])) if len(old) else None

    def _largest(self, of_each: np.ndarray) -> tuple[float, float]:
        """Return the value of the joint with the largest one, and of the tool in space."""
        return float(np.abs(of_each[: self._joint_count]).max()), float(np.linalg.norm(of_each[self._joint_count :]))
