"""`LatchedStop`: after `stop()` nothing moves until `recover()`."""

from __future__ import annotations

import threading

import numpy as np

from robotkit.devices import BaseRobotServer
from robotkit.errors import RobotStopped
from robotkit.safety.wrapper import SafetyWrapper
from robotkit.schema import RobotCommand


class LatchedStop(SafetyWrapper):
    """The latch, and the lock that puts commands, holds and stops from different threads in a row.

    Without the lock a command could pass the latch, lose the processor to a stop, and reach the arm after it.
    """

    def __init__(self, inner: BaseRobotServer) -> None:
        super().__init__(inner)
        self._lock = threading.Lock()
        self._is_stopped = False

    def send(self, command: RobotCommand) -> RobotCommand:
        """Pass the command on unless a stop is latched.

        Raises:
            RobotStopped: `recover()` first.
        """
        with self._lock:
            if self._is_stopped:
                raise _stopped(f"a {command.kind} command")
            return self.inner.send(command)

    def move_to_joint_positions(self, positions_rad: np.ndarray) -> None:
        """Pass the motion on unless a stop is latched; a later stop interrupts it inside the arm.

        Raises:
            RobotStopped: `recover()` first.
        """
        # The lock is not held: the motion blocks, and stop() must get through while it does.
        if self._is_stopped:
            raise _stopped("a joint motion")
        self.inner.move_to_joint_positions(positions_rad)

    def stop(self) -> None:
        """Latch, then stop the arm."""
        self._is_stopped = True
        with self._lock:
            self.inner.stop()

    def recover(self) -> None:
        """Recover the arm, then release the latch; an arm whose fault persists stays latched."""
        with self._lock:
            self.inner.recover()
            self._is_stopped = False

    def hold(self) -> None:
        """Hold the measured pose; a stopped arm holds already."""
        with self._lock:
            if not self._is_stopped:
                self.inner.hold()


def _stopped(what: str) -> RobotStopped:
    return RobotStopped(f"{what} was refused: the robot is stopped. Call recover() when it is safe to move again")
