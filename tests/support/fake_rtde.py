"""A UR controller as ur-rtde shows it: both interfaces over one arm whose joints are where they were sent."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace

import pytest

RUNNING, POWER_OFF = 7, 3
PROTECTIVE_STOP, EMERGENCY_STOP = 1 << 2, 1 << 7
HOME_RAD = (2.84086, -1.60442, 2.10334, -2.06972, -1.5708, -1.87153)


class FakeController:
    """Names and signatures are those of ur-rtde 1.6; `install` puts it in the place of the package."""

    def __init__(self) -> None:
        self.joints_rad = list(HOME_RAD)
        self.force_n = [0.0] * 6
        self.time_s = 1000.0
        """Of the newest packet, on the controller's own clock."""
        self.safety_bits, self.mode = 1, RUNNING
        self.is_connected = self.is_running = self.takes_targets = True
        self.targets: list[list[float]] = []
        self.was_told = threading.Event()
        self.lowest_rate_hz = 0.0
        self.kicks = self.uploads = 0
        self.is_closed = False

    def install(self, monkeypatch: pytest.MonkeyPatch) -> FakeController:
        for module, interface in (("rtde_control", "RTDEControlInterface"), ("rtde_receive", "RTDEReceiveInterface")):
            monkeypatch.setitem(sys.modules, module, SimpleNamespace(**{interface: lambda host: self}))
        return self

    def trip(self, bits: int) -> None:
        """Stop as the safety controller does: the arm stands, and its program has ended."""
        self.safety_bits, self.is_running = bits, False

    def servoJ(self, q, speed, acceleration, time, lookahead_time, gain):  # noqa: N802
        if not self.is_running:
            raise RuntimeError("RTDE control script is not running!")
        if self.takes_targets:
            self.joints_rad = list(q)
            self.targets.append(list(q))
            self.was_told.set()
        return self.takes_targets

    def servoStop(self, a=10.0):  # noqa: N802
        return True

    def setWatchdog(self, min_frequency=10.0):  # noqa: N802
        self.lowest_rate_hz = min_frequency
        return True

    def kickWatchdog(self):  # noqa: N802
        self.kicks += 1
        return True

    def isProgramRunning(self):  # noqa: N802
        return self.is_running

    def reuploadScript(self):  # noqa: N802
        self.uploads += 1
        self.is_running = True
        return True

    def isConnected(self):  # noqa: N802
        return self.is_connected

    def reconnect(self):
        return self.is_connected

    def disconnect(self):
        self.is_closed = True

    def getTimestamp(self):  # noqa: N802
        return self.time_s

    def getActualQ(self):  # noqa: N802
        return self.joints_rad

    def getActualQd(self):  # noqa: N802
        return [0.1] * 6

    def getActualTCPForce(self):  # noqa: N802
        return self.force_n

    def getSafetyStatusBits(self):  # noqa: N802
        return self.safety_bits

    def getRobotMode(self):  # noqa: N802
        return self.mode
