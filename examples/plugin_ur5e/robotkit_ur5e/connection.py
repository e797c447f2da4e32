"""What moves the joints: a UR controller, or a stand-in that only knows kinematics."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from robotkit import Clock, ConnectionFailed, DeviceFault, MissingExtra


@dataclass(frozen=True)
class Measurement:
    """Joints (6,) in rad and rad/s, and the external wrench (6,) along the base's axes."""

    joints_rad: np.ndarray
    velocities_rad_s: np.ndarray
    wrench_in_base: np.ndarray


class Connection(Protocol):
    """The little that the arm needs of whatever moves its joints."""

    def measure(self) -> Measurement:
        """The newest measurement."""

    def servo_to(self, joints_rad: np.ndarray) -> None:
        """Follow this target (6,) from now on."""

    def clear(self) -> None:
        """Make a stopped arm ready again."""

    def close(self) -> None:
        """Stop and let the arm go."""


class StandIn:
    """Joints that follow their target with a lag; a closed function of the clock."""

    _LAG_S = 0.05

    def __init__(self, joints_rad: np.ndarray, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._start = self._goal = joints_rad
        self._start_s = clock.now_s()

    def measure(self) -> Measurement:
        """Where the lag has brought the joints."""
        with self._lock:
            error = (self._start - self._goal) * math.exp((self._start_s - self._clock.now_s()) / self._LAG_S)
            return Measurement(self._goal + error, -error / self._LAG_S, np.zeros(6))

    def servo_to(self, joints_rad: np.ndarray) -> None:
        """Follow the target from where the joints are."""
        start = self.measure().joints_rad
        with self._lock:
            self._start, self._goal, self._start_s = start, joints_rad, self._clock.now_s()

    def clear(self) -> None:
        """A stand-in has nothing to clear."""

    def close(self) -> None:
        """A stand-in holds nothing."""


class Rtde:
    """A UR controller, through ur-rtde."""

    _SPEED_RAD_S, _ACCELERATION_RAD_S2 = 1.0, 2.0
    _PERIOD_S, _LOOKAHEAD_S, _GAIN = 0.008, 0.1, 300.0

    def __init__(self, host: str) -> None:
        try:
            import rtde_control
            import rtde_receive
        except ModuleNotFoundError as error:
            raise MissingExtra(
                f"a UR5e at {host} needs the package 'ur-rtde'. Try: pip install 'robotkit-ur5e[rtde]'; or leave "
                "`host` out for the kinematic stand-in"
            ) from error
        try:
            self._control: Any = rtde_control.RTDEControlInterface(host)
            self._receive: Any = rtde_receive.RTDEReceiveInterface(host)
        except RuntimeError as error:
            raise ConnectionFailed(f"no UR controller at {host}: {error}; is it in remote control?") from error

    def measure(self) -> Measurement:
        """The controller's newest packet."""
        receive = self._receive
        if not receive.isConnected():
            raise DeviceFault("the UR controller closed the connection; connect again")
        found = receive.getActualQ(), receive.getActualQd(), receive.getActualTCPForce()
        return Measurement(*(np.array(values) for values in found))

    def servo_to(self, joints_rad: np.ndarray) -> None:
        """Hand the target to the controller's servo loop."""
        limits = (self._SPEED_RAD_S, self._ACCELERATION_RAD_S2, self._PERIOD_S, self._LOOKAHEAD_S, self._GAIN)
        if not self._control.servoJ(joints_rad.tolist(), *limits):
            raise DeviceFault("the UR controller refused the target; look at the pendant, then recover()")

    def clear(self) -> None:
        """Upload the control program again, which a protective stop ends."""
        if not self._control.reuploadScript():
            raise DeviceFault("the UR controller does not start again; clear the stop at the pendant first")

    def close(self) -> None:
        """End the servo loop and the connections."""
        self._control.servoStop()
        self._control.disconnect()
        self._receive.disconnect()
