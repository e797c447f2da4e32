"""`ArmBody` and `Measurement`: the methods that an arm's body implements, and the measurement that it returns."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import numpy as np

from robotkit.devices.machine import ArmFault, Travel
from robotkit.devices.robot import BaseRobotServer
from robotkit.errors import Unsupported
from robotkit.schema import ComplianceParams, RobotCommand


class Measurement(NamedTuple):
    """The measurement that a body returns; its fields are those of `RobotState`."""

    stamp_s: float
    tcp_pose_in_base: np.ndarray
    tcp_twist_in_base: np.ndarray
    wrench_in_tcp: np.ndarray
    joint_positions_rad: np.ndarray
    joint_velocities_rad_s: np.ndarray
    jacobian_in_base: np.ndarray
    control_success_rate: float = 1.0


class ArmBody(BaseRobotServer):
    """The part of an arm's driver that touches the device.

    Methods marked *quick* run with the machine's lock held and must not wait for it.

    `_open`, `_close`, `_clear_faults` and `_travel` may wait; the first three of them never overlap.
    """

    restarts_after_fault = False
    """True of a simulation whose recovery from a fault brings its world to the start; no person need look at it."""

    @abstractmethod
    def _open(self) -> ArmFault | None:
        """Connect without moving anything; return the fault that the device is in, if it is in one.

        Raises:
            ConnectionFailed: the device does not answer; nothing is left open.
        """

    @abstractmethod
    def _close(self) -> None:
        """Bring the arm to rest and close the connection; never raises because of a device that is gone."""

    @abstractmethod
    def _measure(self) -> Measurement:
        """Return the newest measurement.

        Raises:
            RobotkitError: the device cannot measure: a fault, which stays until recovery.
        """

    @abstractmethod
    def _follow(self, command: RobotCommand) -> RobotCommand:
        """Quick: make `command` the target and return it as it was accepted."""

    @abstractmethod
    def _hold(self) -> None:
        """Quick: make the measured configuration the target, whatever moves; control may have to start for it.

        It is called only of an arm that was measured just now, and has to begin from a measurement as new.
        """

    @abstractmethod
    def _halt(self) -> None:
        """Quick: bring the arm to rest as fast as it can; called from any thread, in any mode while connected.

        What raises has not been taken, and is called again every 20 ms until it returns, or somebody recovers.
        """

    @abstractmethod
    def _travel(self, goal_rad: np.ndarray, travel: Travel) -> None:
        """Move to `goal_rad` (n,) and return when the arm stands there.

        Whatever makes the device move is called inside `with travel.moving():`; `travel.wait(s)` is the pause between.
        The path is straight in the joints, and no faster at any moment than `travel.rate_max_hz`.

        Raises:
            MotionFailed: it did not arrive.
        """

    def _start(self) -> None:
        """Quick: let control begin where the arm stands, after a connection or a recovery."""
        self._hold()

    def _forget_target(self) -> None:
        """Quick: follow no target from before a reset of the world."""
        self._hold_where_it_is()

    @abstractmethod
    def _hold_where_it_is(self) -> None:
        """`_hold` an arm that was measured just now; one that is not measured is stopped."""

    def _set_compliance(self, params: ComplianceParams) -> None:
        """Quick: change the impedance law, also while moving; an arm that stands keeps it for its next motion.

        Raises:
            Unsupported: this arm has none.
        """
        raise Unsupported(f"arm {self.spec.name!r} has no impedance law to change")

    def _clear_faults(self) -> None:
        """Wait for rest, connect again if need be, clear the device's faults; must not move the arm.

        Raises:
            DeviceFault: the fault persists.
        """

    def _find_fault(self) -> ArmFault | None:
        """Return the fault that has ended control, cheaply and without lock; None when all is well.

        Looking changes nothing, and it is found again until `_clear_faults`: when another thread recovers the arm
        meanwhile, what was found says nothing any more, and it is looked for anew. What still moves is told to `_halt`.
        """
        return None
