"""`FrankaLink`: one connection to a control box, its errors translated and its reads kept apart from its starts."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import franky
import numpy as np

from robotkit.drivers.franka import setup
from robotkit.drivers.franka.config import FrankaRobotConfig
from robotkit.drivers.franka.faults import Fault, device_fault, error_names, fault_names, translated
from robotkit.drivers.franka.opening import answered_within, close_connection, cut_connections, opened_within
from robotkit.drivers.franka.silence import SILENCE_S, PacketWatch
from robotkit.errors import ConnectionFailed, DeviceFault, NotConnected, RobotkitError

_CONNECTION_S = 5.0
_ANSWER_S = 5.0
"""A recovery from a reflex takes 0.1 s, a change of tool or load a few milliseconds."""
_POLL_PERIOD_S = 0.002
_TOOL = franky.Frame.EndEffector
_RECOVERY_S = 1.0
_CONFIGURATION_S = 1.0
_REALTIME = {"enforce": franky.RealtimeConfig.Enforce, "ignore": franky.RealtimeConfig.Ignore}


class FrankaLink:
    """The calls of the driver to franky.

    While a motion runs, `read` returns the newest packet at once; otherwise it waits for the next (1 ms). libfranka
    forbids two reads, or a read and a start, at the same time; the lock puts them in a row. A signal handler may brake
    in the middle of a call of its own thread: there it comes between two calls of libfranka. No call hangs with a box
    that is silent: whatever waits for an answer is given up after a bound, and the connection with it. No frame that an
    error could keep names the arm: the connection is closed when the last name for it is gone.

    Raises:
        ConnectionFailed: nobody answers at `config.host`.
    """

    def __init__(self, config: FrankaRobotConfig) -> None:
        self._config = config
        self._name = f"the Franka arm at {config.host}"
        self._lock = threading.RLock()
        self._arm: Any = None
        self._has_motion = False
        self._packets = PacketWatch(lambda: time.monotonic())
        self.open()

    def open(self) -> None:
        """Connect, instead of a connection that there was."""
        self.close()
        self._is_configured = self._has_motion = False
        host, realtime = self._config.host, _REALTIME[self._config.realtime]
        self._arm = opened_within(
            _CONNECTION_S,
            lambda: franky.Robot(host, relative_dynamics_factor=1.0, realtime_config=realtime),
            self._name,
        )

    @property
    def is_in_control(self) -> bool:
        """True while a motion runs."""
        arm = self._arm
        return arm is not None and bool(arm.is_in_control)

    @property
    def is_open(self) -> bool:
        """False after `close()`, and after the box owed an answer for too long."""
        return self._arm is not None

    @property
    def is_silent(self) -> bool:
        """True when a motion runs, as libfranka says, and no packet has come for 1 s."""
        with self._lock:
            return self.is_in_control and self._packets.is_silent(lambda: float(self._arm.state.time.to_sec()))

    def read(self) -> franky.RobotState:
        """The newest packet.

        Raises:
            NotConnected: the link is closed.
            ConnectionFailed: no packet came for 1 s.
        """
        with self._lock, translated(f"reading {self._name}"):
            return self._opened().state

    def measure(self) -> tuple[franky.RobotState, np.ndarray]:
        """The newest packet, and the Jacobian (6, 7) of its tool centre point in the base frame."""
        with self._lock:
            arm = self._opened()
            try:
                state = arm.state
                return state, arm.model.zero_jacobian(_TOOL, state)
            except (franky.Exception, RuntimeError):
                del arm
                # Entered only here, because every control step comes by.
                with translated(f"reading {self._name}"):
                    raise

    def close(self) -> None:
        """Close the connection at once, also while others hold this link: a control box takes one client at a time."""
        with self._lock:
            held, self._arm = [self._arm], None
        if held[0] is not None:
            close_connection(held.pop(), self._config.host)

    def control_time_s(self) -> float | None:
        """The arm's own time while a motion runs, else None."""
        with self._lock:
            arm = self._arm
            return float(arm.state.time.to_sec()) if arm is not None and arm.is_in_control else None

    def configure(self) -> None:
        """Tell the controller about thresholds, load and tool, and wait until its packets show them.

        It takes them only while it is without fault and nothing moves. Poses mean what `config` says only after this.

        Raises:
            DeviceFault: the control box refuses, or goes on to report something else.
        """
        if self._is_configured and setup.is_shown(self.read(), self._config):
            return
        self._ask(lambda arm: setup.apply(arm, self._config), f"configuring {self._name}")
        end_s = time.monotonic() + _CONFIGURATION_S
        while not setup.is_shown(self.read(), self._config):
            if time.monotonic() > end_s:
                raise DeviceFault(
                    f"{self._name} still reports another tool or load {_CONFIGURATION_S:g} s after it was told; "
                    "restart the control box"
                )
        self._is_configured = True

    def require_configured(self) -> None:
        """Raise `DeviceFault` unless the newest packet shows the tool and the load of `config`."""
        if not (self._is_configured and setup.is_shown(self.read(), self._config)):
            raise DeviceFault(f"{self._name} has another tool or load than configured; call recover()")

    def start(self, motion: object) -> None:
        """Start a motion, or let it take over from one of its kind.

        Raises:
            DeviceFault: the arm refuses.
        """
        with self._lock, translated(f"starting a motion of {self._name}"):
            if not self._opened().is_in_control:
                self._packets.begin()
            self._has_motion = True
            self._arm.move(motion, asynchronous=True)

    def brake(self) -> None:
        """Bring what moves to rest, and let the motion end there; the arm's own controller then holds it.

        Where no motion was started, it waits for no answer that is owed to another call.
        """
        if not self._has_motion:
            return
        with self._lock:
            if not self.is_in_control:
                return
            is_torque = self._arm.current_control_signal_type == franky.ControlSignalType.Torques
            stop = franky.TorqueStopMotion() if is_torque else franky.JointStopMotion()
            with translated(f"stopping {self._name}"):
                self._arm.move(stop, asynchronous=True)

    def wait_for_rest(self, deadline_s: float, is_needed: Callable[[], bool] = lambda: True) -> None:
        """Wait until no motion runs, however it ended, or until that is not needed any more.

        Somebody else who waits may begin another motion between two looks.

        Raises:
            DeviceFault: one still runs after `deadline_s` in the arm's time, or ten times as long in this machine's.
            ConnectionFailed: no packet came for 1 s.
        """
        end_s, start_s = time.monotonic() + 10.0 * deadline_s, self.control_time_s()
        while (now_s := self.control_time_s()) is not None and is_needed():
            start_s = now_s if start_s is None else start_s
            if self.is_silent:
                raise self._silence()
            if now_s - start_s > deadline_s or time.monotonic() > end_s:
                raise DeviceFault(f"{self._name} has not come to rest within {deadline_s} s; use the emergency stop")
            time.sleep(_POLL_PERIOD_S)

    def outcome(self) -> Fault | None:
        """The fault that ended the last motion; None while it runs, after it was told once, and when all was well.

        A motion of a box that is silent has ended, whatever libfranka says.
        """
        with self._lock:
            if self._arm is None or not self._has_motion:
                return None
            if self._arm.is_in_control:
                return Fault((ConnectionFailed.code,), self._silence()) if self.is_silent else None
            self._has_motion = False
            try:
                with translated(f"controlling {self._name}"):
                    self._arm.poll_motion()
            except RobotkitError as error:
                return self._named(error)
        return None

    def _named(self, error: RobotkitError) -> Fault:
        """Return the fault that ended a motion.

        libfranka names no reflex whose packet it has not seen yet: the next one shows it.
        """
        names = tuple(error_names(str(error.__cause__)))
        if not names and isinstance(error, DeviceFault):
            with contextlib.suppress(RobotkitError):
                if shown := self.faults():
                    return Fault.named(shown)
        return Fault(names or (error.code,), error)

    def faults(self) -> tuple[str, ...]:
        """The controller's names of what is wrong now."""
        return self.names_of(self.read())

    @staticmethod
    def names_of(state: franky.RobotState) -> tuple[str, ...]:
        """The controller's names of what is wrong in `state`."""
        return fault_names(state)

    def clear_faults(self) -> None:
        """Ask the controller to recover, if there is something to recover from.

        Raises:
            DeviceFault: the fault persists; the message names it.
        """
        if not self.faults():
            return
        self._ask(lambda arm: arm.recover_from_errors(), f"recovering {self._name}")
        # The packets that are under way still show the fault.
        end_s = time.monotonic() + _RECOVERY_S
        while names := self.faults():
            if time.monotonic() > end_s:
                raise device_fault(names)

    def _ask(self, question: Callable[[Any], object], doing: str) -> None:
        """Ask what the box answers when it has done it; one that does not answer is let go of.

        Raises:
            ConnectionFailed: no answer came in 5 s.
        """
        with self._lock:
            self._opened()
            try:
                answered_within(_ANSWER_S, lambda: question(self._arm), doing)
            except ConnectionFailed:
                self._arm = None
                cut_connections(self._config.host)
                raise

    def _silence(self) -> ConnectionFailed:
        return ConnectionFailed(
            f"controlling {self._name}: no packet came for {SILENCE_S:g} s. Check power, cable and address, and that "
            "FCI is active in Desk; then call recover()"
        )

    def _opened(self) -> Any:
        if self._arm is None:
            raise NotConnected(f"{self._name} is not connected; call connect(), or recover() after a fault")
        return self._arm
