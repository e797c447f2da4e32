"""`SeenStanding`: whether the states of a stopped arm show that it stands, also through the noise of its sensors."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

_STOOD_S, _STOOD_PLACES, _STILL = 0.2, 4, 0.0005
"""An arm whose joints and tool were measured within so many rad and m, so often and for so long, stands."""
_SPANS_S, _NOISY_PLACES = (0.6, 1.2, 2.0, 3.0), 8
"""Time and number of the places that tell its speed through noise: the most noise needs the longest."""
_SPEED_RAD_S, _SPEED_M_S = 0.008, 0.003
"""An arm that surely goes no faster stands; one that surely goes faster moves."""
_DOUBT = 3.0
"""Standard errors of a speed: it is surely within so many."""
_NOISE_RAD, _NOISE_M, _FAR_RAD, _FAR_M = 0.01, 0.0025, 0.03, 0.01
"""Largest noise (standard deviation), and largest distance of a place from the mean of all, of one that stands."""
_DEVIATION = 1.4826
"""Standard deviation of noise by the median of its size."""
_OLDEST_S, _ANEW_S = 8.0, 3.0
"""Places that are older say nothing of the present; stamps that go back by so much are those of another start."""


class _Found(NamedTuple):
    stands: bool
    moves: bool


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
        if newest_s is None or stamp_s < newest_s - _ANEW_S or len(joints_rad) != self._joint_count:
            self._first_s, self._stamps_s, self._places = stamp_s, [], []  # the first, or the stamps began anew
            self._joint_count = len(joints_rad)
        elif stamp_s > newest_s:
            self._stamps_s.append(stamp_s)
            self._places.append(place)

    def stands(self) -> bool:
        """Whether the arm was measured standing until the newest state."""
        newest = self._within(_STOOD_S, _STOOD_PLACES)
        if newest is not None and max(self._largest(np.ptp(newest[1], axis=0))) <= _STILL:
            return True
        return any(found.stands for found in map(self._found, _SPANS_S) if found is not None)

    def moves(self) -> bool:
        """Whether it was measured moving lately; neither this nor `stands` where the noise hides it."""
        found = self._found(_SPANS_S[0])
        return found is not None and found.moves

    def _found(self, span_s: float) -> _Found | None:
        """Judge by the line through the places of the last `span_s`; None where they are too few."""
        window = self._within(span_s, _NOISY_PLACES)
        if window is None:
            return None
        since_s, places = window[0] - window[0].mean(), window[1] - window[1].mean(axis=0)
        squares_s2 = since_s @ since_s
        rates = since_s @ places / squares_s2
        deviations = _DEVIATION * np.median(np.abs(places - np.outer(since_s, rates)), axis=0)
        noise_rad, noise_m = deviations[: self._joint_count].max(), deviations[self._joint_count :].max()
        far_rad, far_m = np.max([self._largest(place) for place in places], axis=0)
        is_near = far_rad <= _FAR_RAD and far_m <= _FAR_M
        is_noise = noise_rad <= _NOISE_RAD and noise_m <= _NOISE_M
        rate_rad_s, rate_m_s = self._largest(rates)
        doubt_rad_s, doubt_m_s = (_DOUBT * noise / np.sqrt(squares_s2) for noise in (noise_rad, noise_m))
        return _Found(
            is_near and is_noise and rate_rad_s + doubt_rad_s <= _SPEED_RAD_S and rate_m_s + doubt_m_s <= _SPEED_M_S,
            not is_near or rate_rad_s - doubt_rad_s > _SPEED_RAD_S or rate_m_s - doubt_m_s > _SPEED_M_S,
        )

    def _within(self, span_s: float, count: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Stamps and places of the last `span_s`, no more of before than `count` need; None where they are too few."""
        stamps_s = np.array(self._stamps_s)
        ages_s = stamps_s[-1:] - stamps_s
        old = np.flatnonzero((ages_s >= span_s - 1e-9) & (ages_s <= _OLDEST_S))
        begin = min(old[-1], len(stamps_s) - count) if len(old) else -1
        if begin < 0 or ages_s[begin] > _OLDEST_S:
            return None
        return stamps_s[begin:], np.array(self._places[begin:])

    def _largest(self, of_each: np.ndarray) -> tuple[float, float]:
        """Return the value of the joint with the largest one, and of the tool in space."""
        return float(np.abs(of_each[: self._joint_count]).max()), float(np.linalg.norm(of_each[self._joint_count :]))
