"""`StatefulRobotServer`: an arm's contract over the state machine; a body only implements what touches its device."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np

from robotkit.aside import aside_logger
from robotkit.devices.body import Measurement
from robotkit.devices.device import DeviceContext
from robotkit.devices.machine import ArmFault, Travel
from robotkit.devices.measuring_arm import MeasuringArm
from robotkit.devices.soundness import require_in_range
from robotkit.devices.words import said
from robotkit.errors import (
    CommandRejected,
    DeviceError,
    DeviceFault,
    RemoteError,
    RobotStopped,
    Unsupported,
    error_from_code,
)
from robotkit.schema import ComplianceParams, PluginConfig, RobotCommand, RobotSpec, StopRecord
from robotkit.schema.robot import MOVES_ON

_LOG = aside_logger(__name__)
_RETURN_S = 1.0
"""How long a recovery, or a connection, waits for the calls of before to return from the driver."""


class StatefulRobotServer(MeasuringArm):
    """The base class of arms; it decides stop, recovery, hold, faults, joint motions and their interleavings.

    A body implements what `ArmBody` lists.
    """

    bounds_joint_motions = True
    """False of an arm whose joint motions run at its own speed, whatever `rate_max_hz` says."""
    _may_hang_s: float | None = None
    """How long a disconnection waits for one call of the driver, which closing may end; None: each returns."""

    def __init__(self, config: PluginConfig, context: DeviceContext, spec: RobotSpec) -> None:
        super().__init__(config, context, spec)
        self._opening = threading.RLock()
        self._is_open = False  # the device; changed with `_opening` held
        self._stops_seen = 0  # by the recovery that is under way; changed with `_opening` held
        self._compliance: ComplianceParams | None = None
        # Looked up when called: each may be replaced.
        self.machine.calls.on_begin = lambda: self._halts.repeat()
        self.machine.calls.on_return = lambda: self._repeat_halt()
        self._place: Measurement
        """Where a hold that is under way was measured; changed with the machine's lock held."""
        self.stop_observers: list[Callable[[StopRecord], object]] = []
        """Told of each stop, whoever stops the arm; also from signal handlers and with the lock held."""

    def connect(self) -> None:
        """Connect; the arm holds where it is. One that is in a fault is connected and waits for `recover()`.

        Raises:
            ConnectionFailed: the device does not answer.
            DeviceFault: a call of the last connection has not returned from the driver.
            NotConnected: `disconnect()` came after the call; nothing is left open, and control has not begun.
            StaleState: nor where it has measured nothing just now.
        """
        seen = self.machine.disconnections  # before the wait for another connection
        with self._opened_by_one():
            if self.machine.is_connected:
                return
            self._require_no_call_of_before("connect", with_halts=True)
            self.machine.require_no_disconnection_since(seen)
            self._close_what_is_open()  # a disconnection that waits for `_opening` has left it to this call
            fault = self._open()
            self._is_open = True
            try:
                with self.machine.lock:
                    self.machine.connected(fault, seen)
                    self._forget_measurements()  # also what was read of the last connection while this one opened
                    if self.machine.mode == "holding":
                        self._place = self._measure_just_now()
                    if self.machine.mode == "holding":
                        with self.machine.calls.under_way("connect"):
                            self._start()
            except BaseException:
                self._disconnect(was_asked_for=False)
                raise

    def disconnect(self) -> None:
        """Bring the arm to rest and close the connection, also when a halt fails; a latched stop stays latched.

        A halt that the device has not taken is repeated for up to 1 s before the device is closed, and a call that may
        begin a motion is told to stop and waited for as long; then closing may end what hangs in the driver. The log
        says where the device may still move.
        It waits for no `connect()` that is under way: that one gives up, and closes what it has opened.
        """
        self._disconnect(was_asked_for=True)

    def _disconnect(self, *, was_asked_for: bool) -> None:
        try:
            with self.machine.hurried():
                try:
                    if self.machine.is_connected:
                        if self.moves_on and self.machine.has_to_stand:
                            _LOG.error("arm %r is disconnected while it is seen moving: %s", self.spec.name, MOVES_ON)
                        self._rest_before_closing()
                finally:
                    self.machine.disconnected(was_asked_for)
        finally:
            if self._is_open:
                has_turn = self._opening.acquire(timeout=-1 if self._may_hang_s is None else self._may_hang_s)
                try:
                    if not self.machine.is_connected:
                        self._close_what_is_open()
                finally:
                    if has_turn:
                        self._opening.release()

    def check(self, command: RobotCommand) -> None:
        """Raise what `send` would raise because of the arm's mode or the kind of command, without sending."""
        self._notice_fault()
        self.machine.require_ready()
        if command.kind not in self.spec.command_kinds:
            raise Unsupported(
                f"arm {self.spec.name!r} takes no {command.kind!r} commands; send one of: "
                f"{', '.join(self.spec.command_kinds)}"
            )

    def send(self, command: RobotCommand) -> RobotCommand:
        """Make `command` the target and return at once; what the device has not refused it may follow."""
        machine = self.machine
        with machine.lock:
            self.check(command)
            before = machine.being_sent()
            with machine.calls.under_way("send"):
                try:
                    accepted = self._follow(command)
                    machine.tracking()
                    return accepted
                except CommandRejected:
                    machine.refused(before)
                    raise
                except BaseException:  # the answer may have been lost, and not the command
                    machine.tracking()
                    raise

    def hold(self) -> None:
        """Make the measured configuration the target; ends a joint motion. A stopped or faulted arm stands already.

        Raises:
            StaleState: it has measured nothing just now, and is stopped: an old target would throw it back.
            DeviceError, RemoteError: it cannot be measured, and is stopped.
        """
        self._notice_fault()
        with self.machine.lock:
            self.require_connected()
            if self.machine.mode not in ("stopped", "fault"):
                try:
                    with self.machine.being_held("hold()"):
                        self._hold_where_it_is()
                except BaseException:
                    self.machine.tracking()  # it may still follow its target, so a watchdog must not take it for held
                    raise

    def move_to_joint_positions(self, positions_rad: np.ndarray, rate_max_hz: float = math.inf) -> None:
        """Move along a joint path, wait until the arm has arrived and stands, then hold it there.

        Args:
            positions_rad: target, shape (joint_count,).
            rate_max_hz: how much of the path may be done in a second, as a share.
        """
        goal_rad = np.array(positions_rad, dtype=np.float64)
        self.finish_joint_motion(goal_rad, self.begin_joint_motion(goal_rad, rate_max_hz))

    def begin_joint_motion(self, goal_rad: np.ndarray, rate_max_hz: float) -> Travel:
        """Take the right to move; with the machine's lock held, the arm is where the way to the goal was looked at."""
        self._notice_fault()
        with self.machine.lock:
            require_in_range(goal_rad, self.spec)
            return self.machine.begin_travel(rate_max_hz)

    def finish_joint_motion(self, goal_rad: np.ndarray, travel: Travel) -> None:
        """Move with the right that `begin_joint_motion` gave; without the lock, so that a stop may come."""
        try:
            self._travel(goal_rad, travel)
        finally:
            with self.machine.lock:
                has_kept_right = self.machine.end_travel(travel)
                if has_kept_right:
                    with self.machine.until_held():
                        self._notice_fault()
                        if self.machine.mode == "tracking":
                            with self._standing_or_in_fault():
                                self._hold_where_it_is()
                else:
                    self._repeat_halt()
                fault = self.machine.fault
        self._raise_anew(fault)  # the device stopped on the way, or has let go of the arm at the goal
        if not has_kept_right:
            travel.require()

    def set_compliance(self, params: ComplianceParams) -> None:
        """Change the impedance law, also while moving; what the arm refuses changes nothing."""
        with self.machine.lock:
            self.require_connected()
            with self.machine.calls.under_way("set_compliance"):
                self._set_compliance(params)
            self._compliance = params

    @property
    def compliance(self) -> ComplianceParams | None:
        """The impedance law in force."""
        return self._compliance

    def stop(self) -> None:
        """Bring the arm to rest and refuse commands until `recover()`; before `connect()` too."""
        self.stop_for("stop() was called", "this process")

    def stop_for(self, cause: str, author: str, code: str = "robot_stopped") -> None:
        """Stop, and keep why and who, whatever was given as words; a code that names no stop becomes "robot_stopped".

        It waits at most 50 ms for a call to the device that is under way.
        """
        machine = self.machine
        if not isinstance(error_from_code(code, ""), RobotStopped):
            code = RobotStopped.code
        record = StopRecord.unchecked(cause=said(cause), author=said(author), since_s=self._event_time_s(), code=code)
        machine.note_stop(record)
        for observer in self.stop_observers:
            with suppress(Exception):  # none of them comes between a stop and the arm
                observer(record)
        with machine.hurried():
            if machine.is_connected and machine.stop is not None:  # else a recovery that saw this stop was faster
                self._halts.halt()

    def tell_halt_again(self) -> None:
        """Have the halt told once more, by another thread: the arm has to stand, and is measured moving."""
        self._halts.tell_once_more()

    def repeat_owed_halt(self) -> None:
        """Have a halt that the device has not taken repeated, if nothing does so yet; called by who watches the arm."""
        self._halts.repeat()

    def recover(self, stops_seen: int | None = None) -> None:
        """Clear a stop or a fault; the arm then holds where it is measured.

        Args:
            stops_seen: `machine.stops` when it was asked for, where that was earlier than this call.

        Raises:
            DeviceFault: the fault persists, or a call of before has not returned; the arm stays as it was.
            CommandRejected: it is in a joint motion, and needs no recovery.
            RobotStopped: another stop came after it was asked for.
            InvalidCommand: fewer stops have come than `stops_seen`.
        """
        seen = self.machine.stops if stops_seen is None else stops_seen  # before the wait for another recovery
        with self._opening:
            self.require_connected()
            self.machine.require_no_stop_since(seen)
            self._notice_fault()
            if self.machine.mode in ("stopped", "fault"):
                self._require_no_call_of_before("recover")
                self._stops_seen = seen
                self._clear_faults()
                self._note_clearing()
            else:
                with self.machine.lock:
                    self.require_connected()
                    self._require_not_travelling()
                    self.machine.note_hold()
                    self.hold()
                    self.machine.require_no_stop_since(seen)
                    self.machine.require_ready()
                return
            with self._halts.paused(seen), self.machine.lock:
                self.require_connected()
                try:
                    self.machine.require_no_stop_since(seen)
                    self._place = self._measure_just_now()
                    self._require_no_failure()
                    with self.machine.calls.under_way("recover", seen):
                        self._start()
                        self._require_no_failure()
                        self.machine.recovered(seen)
                except BaseException:
                    self._halts.halt()
                    raise

    def forget_target(self) -> None:
        """The world was put back to its start: a joint motion ends, the arm stands, and a new target epoch begins."""
        with self.machine.lock, self.machine.being_held("the world was reset"):
            if self.machine.is_connected and self.machine.mode not in ("stopped", "fault"):
                with self._standing_or_in_fault(), self.machine.calls.under_way("forget_target"):
                    self._forget_target()

    @contextmanager
    def _opened_by_one(self) -> Iterator[None]:
        """Hold the lock of opening inside.

        A recovery that hangs in the driver, of a connection that has been closed, is not waited for.
        """
        while not self._opening.acquire(timeout=_RETURN_S):
            if not self.machine.is_connected:
                self._require_no_call_of_before("connect", with_halts=True)
        try:
            yield
        finally:
            self._opening.release()

    def _require_no_call_of_before(self, what: str, *, with_halts: bool = False) -> None:
        """Refuse while an earlier call runs: it would be carried out after a recovery, or on a new connection."""
        call = self._halts.await_calls(_RETURN_S, with_halts=with_halts)
        if call is not None:
            raise DeviceFault(
                f"{call.name}() has not returned from the driver of arm {self.spec.name!r} for {call.age_s:.1f} s, and "
                f"may still act. Wait until it has returned and the arm stands, then call {what}() again; if it never "
                "does, restart this program"
            )

    def _hold_where_it_is(self) -> None:
        try:
            self._place = self._measure_just_now()
        except Exception as error:
            if self._may_be_held():
                self._stop_quietly(f"the arm could not be held: {said(error)}", "hold")
            raise
        with self.machine.calls.under_way("hold"):
            if self._may_be_held():
                self._hold()

    def _may_be_held(self) -> bool:
        """False when it was stopped, or fell into a fault, while it was measured: it was told to stop."""
        return self.machine.mode not in ("stopped", "fault")

    def _stop_quietly(self, cause: str, author: str) -> None:
        with suppress(Exception):  # what led to it is told, and a halt that the arm has not taken is repeated
            self.stop_for(cause, author)

    def _close_what_is_open(self) -> None:
        is_open, self._is_open = self._is_open, False
        if is_open:
            try:
                self._halts.finish(self._may_hang_s)
                self._close()
            finally:
                self._halts.forget()

    def _notice_fault(self) -> None:
        clearings, fault = self.machine.clearings, self._find_fault()
        while fault is not None and not self._latch(replace(fault, is_reported=True), clearings):
            clearings, fault = self.machine.clearings, self._find_fault()

    def _latch(self, fault: ArmFault, clearings: int | None = None) -> bool:
        """Refuse commands until recovery, and bring to rest what still moves: a fault may only be one of measuring."""
        with self.machine.hurried():
            if clearings not in (None, self.machine.clearings):
                return False
            self._failure = fault
            if self.machine.is_connected and self.machine.failed(fault):
                self._halt_quietly()
        return True

    @contextmanager
    def _standing_or_in_fault(self) -> Iterator[None]:
        """Put the arm in a fault where what is done inside, which makes the arm stand, fails: nothing else does."""
        try:
            yield
        except BaseException as error:
            if self.machine.mode not in ("stopped", "fault"):
                fault = self._fault_of_driver(error, "hold")
                self._latch(self.machine.fault_of((fault.code,), fault))
            raise

    def _repeat_halt(self) -> None:
        """A stop or a fault that did not wait for this call has halted the arm before it; halt it again."""
        machine = self.machine
        if machine.stop is not None and machine.is_connected:
            with suppress(Exception):  # told to whoever stopped, and owed
                self._halts.halt()
        elif machine.fault is not None and machine.is_connected:
            self._halt_quietly()

    def _rest_before_closing(self) -> None:
        with suppress(CommandRejected, DeviceError, RemoteError):  # it is repeated, and `_close` does what it can
            self._halts.halt(self._may_hang_s)

    def _halt_quietly(self) -> None:
        with suppress(Exception):  # the fault is what has to be told, and a halt that is owed is told in the state
            self._halts.halt()

    def _require_not_travelling(self) -> None:
        if self.machine.mode == "travelling":
            raise CommandRejected(
                f"arm {self.spec.name!r} is in a joint motion, and needs no recovery; wait for it, or end it with "
                "stop() or hold()"
            )
