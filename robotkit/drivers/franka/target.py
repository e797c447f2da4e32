"""`SmoothTarget`: SERL's first-order filter between a commanded pose and the pose that the controller tracks."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

import numpy as np

from robotkit import spatial

_PERIOD_S = 0.005
_WATCH_PERIOD_S = 0.02
"""Time between two looks at the arm, at rest too: it may be pushed away from its target."""
_NEAR_M, _NEAR_RAD = 1e-6, 1e-5


class SmoothTarget:
    """Approaches the newest goal with a time constant, in a thread that publishes fast while there is a way to go.

    Args:
        time_constant_s: after this long 63 % of the way is done; 0 publishes each goal as it comes.
        publish: takes the pose (7,) that the controller is to track; returns False when it tracks only a part of the
            way there now, and has to be asked again soon.
        now_s: the arm's own time, so that the filter keeps the controller's pace; None when the arm is out of control.
    """

    def __init__(
        self, time_constant_s: float, publish: Callable[[np.ndarray], bool], now_s: Callable[[], float | None]
    ) -> None:
        self._time_constant_s = time_constant_s
        self._publish = publish
        self._now_s = now_s
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._is_closed = False
        self._pose = self._goal = np.zeros(7)
        self._last_s = 0.0

    def start(self) -> None:
        """Start the thread, once the controller runs."""
        threading.Thread(target=self._run, name="franka-target", daemon=True).start()

    def jump(self, pose: np.ndarray) -> None:
        """Track `pose` (7,) from now on, without a transition."""
        with self._lock:
            self._pose = self._goal = pose
            if not self._publish(pose):
                self._wake_up()

    def approach(self, goal: np.ndarray) -> None:
        """Go to `goal` (7,) with the time constant."""
        if self._time_constant_s == 0.0:
            self.jump(goal)
            return
        with self._lock:
            self._goal = goal
            self._wake_up()

    def repeat(self) -> None:
        """Publish once more where the filter is, for a controller that has just taken over."""
        with self._lock:
            self._publish(self._pose)

    def close(self) -> None:
        """Publish nothing any more but what is under way; the thread ends by itself, and is not waited for.

        It takes no lock: the thread may hold this one while it waits for the connection's, and a stop from a signal
        handler comes here in the middle of a call that holds that one.
        """
        self._is_closed = True

    def _wake_up(self) -> None:
        if not self._wake.is_set():
            self._last_s = self._now_s() or 0.0
            self._wake.set()

    def _run(self) -> None:
        while not self._is_closed:
            if self._wake.wait(_WATCH_PERIOD_S):
                time.sleep(_PERIOD_S)
            self._step()

    def _step(self) -> None:
        """A part of the way: 1 - exp(-dt / time constant)."""
        with self._lock:
            now_s = self._now_s()
            if self._is_closed or now_s is None:
                self._wake.clear()
                return
            if self._wake.is_set():
                self._go_on(now_s)
            if not self._publish(self._pose):
                self._wake_up()
            elif self._pose is self._goal:
                self._wake.clear()

    def _go_on(self, now_s: float) -> None:
        if self._time_constant_s == 0.0:
            return
        fraction = -math.expm1((self._last_s - now_s) / self._time_constant_s)
        self._last_s = now_s
        self._pose = spatial.interpolate(self._pose, self._goal, fraction)
        if self._is_near():
            self._pose = self._goal

    def _is_near(self) -> bool:
        return (
            spatial.distance_between(self._pose, self._goal) < _NEAR_M
            and spatial.angle_between(self._pose[3:], self._goal[3:]) < _NEAR_RAD
        )
