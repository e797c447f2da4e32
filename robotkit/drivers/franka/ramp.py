"""`GainRamp`: the stiffness in force while franky filters it, and the gains with which a new motion begins."""

from __future__ import annotations

import numpy as np

from robotkit.drivers.franka import impedance
from robotkit.schema import ComplianceParams


class GainRamp:
    """The gains in force: franky reports the requested ones, and a motion starts with those of its constructor.

    Gains are a vector (9,): translational stiffness in N/m, rotational in Nm/rad, and the seven joints' posture in
    Nm/rad.
    """

    def __init__(self, gains: np.ndarray) -> None:
        self._start = self._end = gains
        self._start_s = 0.0

    def in_force(self, time_s: float) -> np.ndarray:
        """Gains (9,) at a time of the arm's own clock."""
        left = np.exp(-max(0.0, time_s - self._start_s) / impedance.GAINS_TIME_CONSTANT_S)
        gains: np.ndarray = self._end + left * (self._start - self._end)
        return gains

    def turn_to(self, gains: np.ndarray, time_s: float, start: np.ndarray | None = None) -> None:
        """Approach other gains from now on, from `start` if a new motion begins there."""
        self._start = self.in_force(time_s) if start is None else start
        self._end, self._start_s = gains, time_s


def stiffness_vector(params: ComplianceParams, *, is_drawn: bool) -> np.ndarray:
    """The gains (9,) that `params` ask for; without a posture the last seven are 0."""
    cartesian = params.translational_stiffness_n_m, params.rotational_stiffness_nm / 2
    return np.concatenate((cartesian, impedance.nullspace(params)[0] * is_drawn))


def first_gains(in_force: np.ndarray, old: ComplianceParams, new: ComplianceParams, *, is_drawn: bool) -> np.ndarray:
    """Gains (9,) with which a motion under new clips begins, so that stiffness times clip leaps nowhere.

    Force and torque stay between those in force and those asked for; the gains are as near to those in force as that
    allows. Where axes contradict each other, the upper bound counts.
    """
    asked = stiffness_vector(new, is_drawn=is_drawn)
    first = in_force.copy()
    for index, (old_clip, new_clip) in enumerate(zip(impedance.clips(old), impedance.clips(new), strict=True)):
        is_open = new_clip > 0.0
        if not is_open.any():
            first[index] = asked[index]
            continue
        bounds = np.sort((in_force[index] * old_clip[is_open], asked[index] * new_clip[is_open]), axis=0)
        lowest, highest = bounds / new_clip[is_open]
        first[index] = min(max(in_force[index], lowest.max()), highest.min())
    return first
