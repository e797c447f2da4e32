"""`Watchdog`: holds the arm when nobody commands it any more."""

from __future__ import annotations

import threading

import numpy as np

from robotkit.clock import Clock
from robotkit.devices import BaseRobotServer
from robotkit.safety.wrapper import SafetyWrapper
from robotkit.schema import RobotCommand, RobotState

_LONGEST_NAP_S = 0.01
"""How late a silence or a force is noticed at most; twenty times below the 0.2 s in which an orphaned arm must hold."""


class Watchdog(SafetyWrapper):
    """A thread that measures the arm, and makes it hold its measured pose after `timeout_s` without a command.

    It holds once and then waits for the next command. Measuring also lets the force limit inside see every contact.
    What goes wrong in the thread is raised by the next `get_state`.
    """

    def __init__(self, inner: BaseRobotServer, timeout_s: float | None, clock: Clock) -> None:
        super().__init__(inner)
        self._timeout_s = timeout_s
        self._clock = clock
        self._nap_s = min(_LONGEST_NAP_S, timeout_s / 4) if timeout_s is not None else _LONGEST_NAP_S
        self._lock = threading.Lock()
        self._due_s: float | None = None
        self._error: Exception | None = None
        self._quit = threading.Event()
        self._thread: threading.Thread | None = None

    def connect(self) -> None:
        """Connect the arm and start to watch."""
        self.inner.connect()
        if self._thread is None:
            self._quit.clear()
            self._due_s = self._error = None
            self._thread = threading.Thread(target=self._watch, name="robotkit-watchdog", daemon=True)
            self._thread.start()

    def disconnect(self) -> None:
        """Stop watching and disconnect the arm."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._quit.set()
            thread.join()
        self.inner.disconnect()

    def send(self, command: RobotCommand) -> RobotCommand:
        """Pass the command on; a refused one is no sign of life."""
        with self._lock:
            accepted = self.inner.send(command)
            if self._timeout_s is not None:
                self._due_s = self._clock.now_s() + self._timeout_s
            return accepted

    def get_state(self) -> RobotState:
        """Measure, or raise what went wrong in the thread since the last call."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return self.inner.get_state()

    def move_to_joint_positions(self, positions_rad: np.ndarray) -> None:
        """Pass the motion on; it watches over itself."""
        with self._lock:  # a hold that is under way must not fall into the motion
            self._due_s = None
        self.inner.move_to_joint_positions(positions_rad)

    def stop(self) -> None:
        """Pass the stop on; a stopped arm needs no hold."""
        self._due_s = None
        self.inner.stop()

    def _watch(self) -> None:
        while not self._quit.wait(self._nap_s):
            for duty in (self.inner.get_state, self._hold_if_silent):
                try:
                    duty()
                except Exception as error:  # any fault of a driver: stored, and raised where somebody listens
                    self._error = error

    def _hold_if_silent(self) -> None:
        with self._lock:
            if self._due_s is not None and self._clock.now_s() >= self._due_s:
                self.inner.hold()
                self._due_s = None
