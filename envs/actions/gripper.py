"""`BinaryGripper`: one number of an action becomes "close", "open" or "leave it", never waiting for the fingers."""

from __future__ import annotations

import math

from robotkit.schema import CellState, GripperCommand

_SAME = 0.01
"""Difference of the opening that counts as none; a register of 8 bits does not give back the very number that was asked
for."""


class BinaryGripper:
    """Values up to -threshold close, values from threshold open, anything between leaves the fingers alone (SERL).

    What the fingers were last asked, not where they were measured, decides whether a command is new: a held object
    keeps fingers from ever measuring "closed". After a change the next one waits for `sleep_s` of the cell's time, so
    that a noisy policy cannot make them flutter; SERL slept for that long inside the control loop instead.

    Args:
        threshold: magnitude from which on the number means something.
        sleep_s: shortest time between two changes.
    """

    def __init__(self, threshold: float = 0.5, sleep_s: float = 0.6) -> None:
        self._threshold = threshold
        self._sleep_s = sleep_s
        self._target = 1.0
        self._now_s = 0.0
        self._changed_s = -math.inf

    def reset(self, state: CellState) -> None:
        """Start an episode: the first change may come at once."""
        self._changed_s = -math.inf
        self._take(state)

    def __call__(self, value: float) -> GripperCommand | None:
        """The command for `value`; None when there is nothing to change, or when it is too early."""
        if abs(value) < self._threshold:
            return None
        opening = 1.0 if value > 0.0 else 0.0
        if abs(opening - self._target) < _SAME or self._now_s - self._changed_s < self._sleep_s - 1e-9:
            return None
        return GripperCommand.unchecked(position=opening)

    def follow(self, state: CellState) -> None:
        """Notice what the fingers were asked, and when."""
        asked_s, before = self._now_s, self._target
        self._take(state)
        if abs(self._target - before) >= _SAME:
            self._changed_s = asked_s

    def _take(self, state: CellState) -> None:
        assert state.gripper is not None  # Task.require_measured has seen to it
        self._target = state.gripper.target_position
        self._now_s = state.gripper.stamp_s
