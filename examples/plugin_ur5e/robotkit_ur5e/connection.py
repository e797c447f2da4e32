"""Connections that move the joints: to a UR controller, and to a stand-in that only knows kinematics."""

from __future__ import annotations

import contextlib
import math
import threading
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from robotkit import Clock, ConnectionFailed, DeviceFault, MissingExtra
from robotkit_ur5e.device_time import DeviceTime
from robotkit_ur5e.follower import PERIOD_S, Follower

_LOST = "connection_lost"
_RUNNING = 7
"""The robot mode in which an arm takes targets."""
_STOPS = {
    2: "protective_stop", 3: "recovery_mode", 4: "safeguard_stop", 5: "system_emergency_stop",
    6: "robot_emergency_stop", 7: "emergency_stop", 8: "safety_violation", 9: "safety_fault", 10: "safety_stop",
}  # fmt: skip
"""Bits of `safety_status_bits` in a packet (Universal Robots, RTDE guide)."""


@dataclass(frozen=True)
class Reading:
    """When it was measured on the cell's clock, joints (6,) in rad and rad/s, external wrench (6,) along base axes."""

    stamp_s: float
    joints_rad: np.ndarray
    velocities_rad_s: np.ndarray
    wrench_in_base: np.ndarray


class Connection(Protocol):
    """The little that the arm needs of whatever moves its joints. Only `clear` and `close` may wait."""

    def read(self) -> Reading:
        """The newest measurement."""

    def servo(self, follower: Follower | None) -> None:
        """Follow these set-points from now on; None: leave the arm to its own controller."""

    def faults(self) -> tuple[str, ...]:
        """Names of what keeps the arm from being commanded; empty when all is well."""

    def clear(self) -> None:
        """Make an arm ready again whose faults have been cleared at the pendant; must not move it."""

    def close(self) -> None:
        """Stop and let the arm go."""


class StandIn:
    """Joints that follow their set-points with a lag, period by period on the cell's clock."""

    _LAG_S = 0.05
    _STILL_RAD = 1e-9

    def __init__(self, joints_rad: np.ndarray, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()  # a signal handler may stop the arm in the middle of a call
        self._joints_rad, self._behind_rad = joints_rad, np.zeros_like(joints_rad)
        self._follower: Follower | None = None
        self._periods = self._periods_now()

    def read(self) -> Reading:
        """Return where the lag has brought the joints by the end of the last period."""
        with self._lock:
            self._catch_up()
            velocities = self._behind_rad / self._LAG_S
            return Reading(self._periods * PERIOD_S, self._joints_rad, velocities, np.zeros(6))

    def servo(self, follower: Follower | None) -> None:
        """Follow from where the joints are."""
        with self._lock:
            self._catch_up()
            self._follower = follower

    def faults(self) -> tuple[str, ...]:
        """A stand-in has none."""
        return ()

    def clear(self) -> None:
        """A stand-in has nothing to clear."""

    def close(self) -> None:
        """A stand-in holds nothing."""

    def _catch_up(self) -> None:
        now, share = self._periods_now(), 1.0 - math.exp(-PERIOD_S / self._LAG_S)
        while self._periods < now:
            self._periods += 1
            before = self._follower.setpoint_rad if self._follower else self._joints_rad
            setpoint = self._follower.advance() if self._follower else self._joints_rad
            self._joints_rad = self._joints_rad + share * (setpoint - self._joints_rad)
            self._behind_rad = setpoint - self._joints_rad
            if np.array_equal(setpoint, before) and np.abs(self._behind_rad).max() < self._STILL_RAD:
                self._periods = now

    def _periods_now(self) -> int:
        return int(self._clock.now_s() / PERIOD_S + 1e-6)


class Rtde:
    """A UR controller, through ur-rtde. A thread hands over a set-point in each period."""

    _LOOKAHEAD_S, _GAIN = 0.1, 300.0
    _END_S = 2.0
    _LOWEST_RATE_HZ = 10.0
    """The controller stops the arm by itself when this program falls silent for longer than a period of this rate."""

    def __init__(self, host: str, clock: Clock) -> None:
        try:
            import rtde_control
            import rtde_receive
        except ModuleNotFoundError as error:
            raise MissingExtra(
                f"a UR5e at {host} needs the package 'ur-rtde'. Try: pip install 'robotkit-ur5e[rtde]'; or leave "
                "`host` out for the kinematic stand-in"
            ) from error
        self._links: list[Any] = []
        try:
            for interface in (rtde_control.RTDEControlInterface, rtde_receive.RTDEReceiveInterface):
                self._links.append(interface(host))
            self._control, self._receive = self._links
            self._control.setWatchdog(self._LOWEST_RATE_HZ)
        except RuntimeError as error:
            self._disconnect()
            raise ConnectionFailed(f"no UR controller at {host}: {error}; is it in remote control?") from error
        self._time = DeviceTime(clock)
        self._follower: Follower | None = None
        self._refusal = ""
        self._quit = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"UR5e at {host}", daemon=True)
        self._thread.start()

    def read(self) -> Reading:
        """The controller's newest packet; after a lost connection the last one, with its old stamp."""
        receive = self._receive
        stamp_s = self._time.on_cell_clock(receive.getTimestamp())
        found = receive.getActualQ(), receive.getActualQd(), receive.getActualTCPForce()
        return Reading(stamp_s, *(np.array(values) for values in found))

    def servo(self, follower: Follower | None) -> None:
        """The thread takes its next set-point from here."""
        self._follower = follower

    def faults(self) -> tuple[str, ...]:
        """From the newest packet: stops, what the safety controller says, power, program and connection."""
        try:
            names = self._stops()
            if not names and not self._control.isProgramRunning():
                names = ("program_stopped",)
        except RuntimeError:
            names = (_LOST,)
        return (*names, *filter(None, [self._refusal]))

    def clear(self) -> None:
        """Connect again if need be, and start the control program that a stop has ended.

        Raises:
            DeviceFault: a stop is still there; a person clears it at the pendant.
        """
        self._follower, self._refusal = None, ""
        try:
            if not all(link.isConnected() or link.reconnect() for link in self._links):
                raise DeviceFault("the UR controller does not answer; check its cable and power")
            stops = self._stops()
            if stops:
                raise DeviceFault(f"the UR controller reports {', '.join(stops)}; clear it at the pendant first")
            if not self._control.isProgramRunning() and not self._control.reuploadScript():
                raise DeviceFault("the UR controller does not start its program; is it in remote control?")
            self._control.setWatchdog(self._LOWEST_RATE_HZ)
        except RuntimeError as error:
            raise DeviceFault(f"the UR controller cannot be made ready: {error}") from error

    def close(self) -> None:
        """End the thread, the servo loop and the connections."""
        self._quit.set()
        self._thread.join(self._END_S)
        with contextlib.suppress(RuntimeError):  # when the connection is gone, the controller stops the arm by itself
            self._control.servoStop()
        self._disconnect()

    def _disconnect(self) -> None:
        for link in self._links:
            with contextlib.suppress(RuntimeError):
                link.disconnect()

    def _stops(self) -> tuple[str, ...]:
        if not all(link.isConnected() for link in self._links):
            return (_LOST,)
        bits, mode = self._receive.getSafetyStatusBits(), self._receive.getRobotMode()
        names = [name for bit, name in _STOPS.items() if bits >> bit & 1]
        return tuple(names if mode == _RUNNING else [*names, f"robot_mode_{mode}"])

    def _run(self) -> None:
        while not self._quit.wait(PERIOD_S):
            try:
                self._control.kickWatchdog()
                follower = self._follower
                if follower is not None and not self._servo_to(follower.advance()):
                    self._follower, self._refusal = None, "target_refused"
            except Exception as error:  # whatever it was: the arm is left to its controller, and the fault shows
                self._follower, self._refusal = None, f"servo_failed: {error}"

    def _servo_to(self, joints_rad: np.ndarray) -> bool:
        # ur-rtde ignores the two numbers after the joints: the speed is bounded by the set-points themselves.
        return bool(self._control.servoJ(joints_rad.tolist(), 1.0, 1.0, PERIOD_S, self._LOOKAHEAD_S, self._GAIN))
