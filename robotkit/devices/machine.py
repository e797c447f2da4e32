"""`ArmMachine`: the state machine of an arm, with its one lock.

    disconnected --connect--> holding <--hold-- tracking, travelling
    holding, tracking --send--> tracking        holding, tracking --joint motion--> travelling --arrived--> holding
    any --stop--> stopped        any connected --fault--> fault        stopped, fault --recover--> holding

A stop is kept until `recover()`, also over a fault, a reset and a new connection. `docs/safety.md` has the picture.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, NamedTuple

from robotkit.devices.calls import DeviceCalls
from robotkit.errors import (
    CommandRejected,
    DeviceFault,
    InvalidCommand,
    MotionFailed,
    NotConnected,
    RobotkitError,
    RobotStopped,
    TargetReplaced,
    error_from_code,
)
from robotkit.schema import RobotMode, StopRecord

Activity = Literal["holding", "tracking", "travelling"]
STOP_WAIT_S = 0.05
"""How long a stop waits for a call to the device that is under way; then it goes ahead of it."""


class Moment(NamedTuple):
    """Counts of what had come to an arm by then; a command asked for then is not carried out after more came."""

    stops: int
    recoveries: int
    holds: int


ASKED_AT: ContextVar[Moment | None] = ContextVar("ASKED_AT", default=None)
"""When the command that this thread carries out was asked for; None: when the arm is called."""


@dataclass(frozen=True)
class ArmFault:
    """Why the arm cannot be commanded."""

    names: tuple[str, ...]
    """The device's own names."""
    error: RobotkitError
    """The error that a command raises."""
    since_s: float
    """Time at which the fault came, on the cell's clock."""
    is_reported: bool = False
    """The device has told it by itself, so that it deals with it too."""


class Travel:
    """One blocking joint motion: the right to move, until something takes it away."""

    def __init__(self, machine: ArmMachine, rate_max_hz: float = math.inf) -> None:
        self.rate_max_hz = rate_max_hz
        """How much of the straight joint path may be done in a second, as a share, at any moment."""
        self._machine = machine
        # Re-entrant: a signal handler may end what its own thread waits for.
        self._changed = threading.Condition()
        self._is_over = False
        self._why: str  # once it has ended

    @property
    def is_over(self) -> bool:
        """True when the motion has lost its right to move."""
        return self._is_over

    def wait(self, timeout_s: float) -> bool:
        """Wait until the motion has lost its right to move; False when `timeout_s` passed before."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_over, timeout_s)

    @contextmanager
    def moving(self) -> Iterator[None]:
        """Start or continue to move inside: nothing can take the right away meanwhile. Keep it short.

        Raises:
            MotionFailed: a stop, a hold, a fault, a reset or `disconnect()` has ended the motion.
        """
        with self._machine.lock:
            self.require()
            with self._machine.calls.under_way("a joint motion"):
                yield

    def require(self) -> None:
        """Raise `MotionFailed` when the motion has lost its right to move."""
        if self._is_over:
            raise MotionFailed(f"the joint motion was interrupted before it arrived: {self._why}")

    def end(self, why: str) -> None:
        """Take the right away; the first reason counts."""
        with self._changed:
            if not self._is_over:
                self._why, self._is_over = why, True
                self._changed.notify_all()


class ArmMachine:
    """The mode of an arm, and whether it may move. Transitions need `lock`; reading needs no lock.

    Args:
        name: names the arm in errors.
        now_s: the cell's clock.
    """

    def __init__(self, name: str, now_s: Callable[[], float]) -> None:
        self.lock = threading.RLock()
        self.activity: Activity = "holding"
        self.is_connected = False
        self.stop: StopRecord | None = None
        self.fault: ArmFault | None = None
        self.epoch = 0
        """See `RobotState.target_epoch`."""
        self.stops = 0
        """How often a stop came; whoever recovers finds out with it that another one came meanwhile."""
        self.disconnections = 0
        """How often `disconnect()` came; whoever connects finds out with it that one came meanwhile."""
        self.recoveries = 0
        """How often it was recovered from a stop or a fault."""
        self.clearings = 0
        """How often its faults were cleared; what was seen of the device before a clearing says nothing after it."""
        self.holds = 0
        """How often `note_hold()` came."""
        self.calls = DeviceCalls(lambda: self.stops)
        """The calls that are in the device's driver at this moment."""
        self.targets = 0
        """How many targets the device has taken, or may have taken."""
        self._name = name
        self._now_s = now_s
        self._travel: Travel | None = None
        self._changes = 0
        """How often what the arm does was said anew."""
        self._newest_stop: StopRecord | None = None
        self._held_until_reported = False
        # Held for an instant only, never while the device is called; re-entrant for stops from signal handlers.
        self._latching = threading.RLock()

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """Hold the lock, or after 50 ms go ahead without it: a device that hangs keeps no stop from being tried."""
        has_lock = self.lock.acquire(timeout=STOP_WAIT_S)
        try:
            yield
        finally:
            if has_lock:
                self.lock.release()

    @property
    def mode(self) -> RobotMode:
        """The mode of the arm; a fault comes before a stop."""
        if self.fault is not None:
            return "fault"
        return "stopped" if self.stop is not None else self.activity

    @property
    def has_to_stand(self) -> bool:
        """Whether it was halted after robotkit may have moved it: by a stop or a fault.

        Not by a fault that the device told while it held: others may move it, as who guides it by hand does.
        """
        is_halted = self.stop is not None or (self.fault is not None and not self._held_until_reported)
        return self.is_connected and is_halted and self.calls.has_begun

    def require_ready(self) -> None:
        """Raise unless the arm may be given a target.

        Raises:
            NotConnected: before `connect()`.
            RobotStopped: a stop is latched; the message says why, who and since when.
            TargetReplaced: the command was asked for (`ASKED_AT`) before a stop, a recovery or a hold.
            DeviceFault: the arm is in a fault.
            CommandRejected: a blocking joint motion is running.
        """
        if not self.is_connected:
            raise NotConnected(f"arm {self._name!r} is not connected; call connect() or use it in a `with` block")
        if self.stop is not None:
            raise self._stopped(self.stop)
        asked_at = ASKED_AT.get()
        if asked_at is not None:
            self.require_nothing_since(asked_at)
        if self.fault is not None:
            # A new error each time: whoever catches it may add to its traceback.
            raise type(self.fault.error)(self.fault.error.message) from self.fault.error
        if self.activity == "travelling":
            raise CommandRejected(
                "a blocking joint motion is running, and nothing is queued behind it; wait for it, or stop() or "
                "hold() the arm first"
            )

    @property
    def moment(self) -> Moment:
        """The counts of what has come until now."""
        return Moment(self.stops, self.recoveries, self.holds)

    def require_nothing_since(self, moment: Moment, commands_arm: bool = True) -> None:
        """Raise when a stop, a recovery or a hold that somebody asked for came after `moment`.

        Args:
            moment: when a command was asked for.
            commands_arm: False for one of the gripper alone, which takes commands also while a stop is latched.

        Raises:
            RobotStopped: a stop is latched.
            TargetReplaced: none is latched any more; or another reason than that stop refuses the gripper's command.
        """
        with self._latching:
            now, stop = self.moment, self.stop
        if now == moment:
            return
        if stop is not None:
            if commands_arm:
                raise self._stopped(stop)
            if now == moment._replace(stops=now.stops):
                return
        raise TargetReplaced(
            "a stop, a recovery or a hold came before this command was carried out, and after it was asked for or "
            "after the newest state that its client has read: read a state (get_state()) first, and make a new command "
            "from it"
        )

    def connected(self, fault: ArmFault | None, disconnections_seen: int) -> None:
        """The device is open, and stands; a stop from before stays.

        Raises:
            NotConnected: a disconnection came after the first `disconnections_seen`.
        """
        self.require_no_disconnection_since(disconnections_seen)
        self._interrupt("the arm was connected again")
        self.calls.begun.clear()
        self._held_until_reported = False
        self.clear_fault()
        self.is_connected, self.fault = True, fault

    def require_no_disconnection_since(self, disconnections_seen: int) -> None:
        """Raise `NotConnected` when a disconnection came after the first `disconnections_seen`."""
        if self.disconnections != disconnections_seen:
            raise NotConnected(f"disconnect() came while arm {self._name!r} was being connected; call connect() again")

    def disconnected(self, was_asked_for: bool = True) -> None:
        """The device is about to be closed; one that was not asked for ends no other connection than its own."""
        self.disconnections += was_asked_for
        self._interrupt("disconnect()")
        self.is_connected, self.fault = False, None

    def tracking(self) -> None:
        """A sent target is followed, or may be."""
        self.activity = "tracking"
        self.targets += 1
        self._changes += 1

    def being_sent(self) -> tuple[Activity, int]:
        """The device is about to be given a target, which it may follow before it answers; for `refused`."""
        before, self.activity = self.activity, "tracking"
        return before, self._changes

    def refused(self, before: tuple[Activity, int]) -> None:
        """Note that what was being sent is no target and changed nothing, unless something else happened meanwhile."""
        activity, changes = before
        if self._changes == changes:
            self.activity = activity

    @contextmanager
    def being_held(self, why: str) -> Iterator[None]:
        """The device is made to hold inside; one that moved is "tracking" until it does, so that a watchdog sees it."""
        self._interrupt(why, "holding" if self.activity == "holding" else "tracking")
        with self.until_held():
            yield

    @contextmanager
    def until_held(self) -> Iterator[None]:
        """The device holds when this is left without an error, and nothing else has happened inside."""
        changes = self._changes
        yield
        if self._changes == changes:
            self.activity = "holding"

    def replaced(self) -> None:
        """The device replaced its target itself; what it does now is not known, so a watchdog goes on to wait."""
        self.epoch += 1

    def begin_travel(self, rate_max_hz: float = math.inf) -> Travel:
        """A blocking joint motion begins; see `Travel.rate_max_hz`."""
        self.require_ready()
        self._interrupt("another joint motion began")
        self.activity, self._travel = "travelling", Travel(self, rate_max_hz)
        return self._travel

    def end_travel(self, travel: Travel) -> bool:
        """The motion is over, however it ended; True when nothing else had ended it: the arm is not held yet."""
        if travel.is_over:
            return False
        self._interrupt("the motion is over", "tracking")
        return True

    def note_stop(self, record: StopRecord) -> None:
        """Latch a stop; needs no lock, so that a call that waits for the lock is refused when it gets it.

        The first cause of a stop is kept: what stops a stopped arm once more did not stop it.
        """
        with self._latching:
            self._newest_stop = record
            self.stops += 1
            self.epoch += 1
            if self.stop is None:
                self.stop = record
        travel = self._travel
        if travel is not None:
            travel.end(record.cause)

    def note_hold(self) -> int:
        """Note a hold and return its number: what was asked for before it is not carried out after it."""
        with self._latching:
            self.holds += 1
            return self.holds

    def clear_fault(self) -> None:
        """The device is in no fault that was seen until now."""
        self.clearings += 1
        self.fault = None

    def failed(self, fault: ArmFault) -> bool:
        """The device reports a fault; the first one stays until recovery. True when this is the first."""
        if self.fault is not None:
            return False
        self._held_until_reported = fault.is_reported and self.activity == "holding"
        self._interrupt(fault.error.message)
        self.fault = fault
        return True

    def recovered(self, stops_seen: int) -> None:
        """The arm holds after a recovery that was asked for when `stops_seen` stops had come.

        Raises:
            RobotStopped: another stop came meanwhile; it stays latched.
        """
        with self._latching:
            self.require_no_stop_since(stops_seen)
            self.stop = None
            if self.stops != stops_seen:  # a signal handler stopped between the two lines above
                self.stop = self._newest_stop
            self.require_no_stop_since(stops_seen)
            self.clear_fault()
        self.recoveries += 1  # before the epoch: whoever sees the new one knows why
        self._interrupt("recover()")

    def require_no_stop_since(self, stops_seen: int) -> None:
        """Check that the first `stops_seen` are all that came.

        Raises:
            RobotStopped: a stop came after them.
            InvalidCommand: fewer have come.
        """
        if self.stops < stops_seen:
            raise InvalidCommand(
                f"{self.stops} stops have come to arm {self._name!r}, and not {stops_seen}: they are counted from the "
                "start of its program, which has been started anew; read the state, look at the cell, and recover again"
            )
        if self.stops != stops_seen:
            raise RobotStopped(
                f"a stop came during the recovery of arm {self._name!r}, and counts; call recover() again when it is "
                "safe to move"
            )

    def fault_of(self, names: tuple[str, ...], error: RobotkitError | None = None) -> ArmFault:
        """A fault that is noticed now; without an error of its own, commands raise `DeviceFault`."""
        text = f"arm {self._name!r} reports {', '.join(names)}; call recover() when it is safe to move again"
        return ArmFault(names, error or DeviceFault(text), self._now_s())

    def _interrupt(self, why: str, activity: Activity = "holding") -> None:
        """Begin a new target epoch, and `activity`; a joint motion that was running has lost its right to move."""
        travel, self._travel = self._travel, None
        if travel is not None:
            travel.end(why)
        self.activity = activity
        self._changes += 1
        self.epoch += 1

    def _stopped(self, record: StopRecord) -> RobotkitError:
        ago_s = max(0.0, self._now_s() - record.since_s)
        return error_from_code(
            record.code,
            f"the robot is stopped since {ago_s:.1f} s: {record.cause} (by {record.author}). Call recover() when it is "
            "safe to move again",
        )
