"""`SafeRobot`: an arm inside its limits."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from robotkit.clock import Clock
from robotkit.devices import BaseRobotServer, StatefulRobotServer, Travel
from robotkit.devices.first_cause import undone_unless_done
from robotkit.devices.measuring_arm import HELD_AGE_S
from robotkit.devices.recent_places import RecentPlaces
from robotkit.devices.words import said
from robotkit.errors import (
    CommandRejected,
    InvalidCommand,
    InvalidConfiguration,
    MotionFailed,
    RobotkitError,
    TargetReplaced,
)
from robotkit.safety.checks import CommandChecks
from robotkit.safety.compliance import compliance_excess
from robotkit.safety.events import EventKind, Events, Observer, SafetyEvent
from robotkit.safety.fitness import require_fitting, require_true_kinematics
from robotkit.safety.monitor import Monitor
from robotkit.safety.standstill import Standstill
from robotkit.safety.validator import joint_array
from robotkit.safety.watch import Watch
from robotkit.safety.watchdog import Watchdog
from robotkit.schema import ComplianceParams, JointCommand, RobotCommand, RobotState, SafetyLimits
from robotkit.schema.numbers import shown

MONITOR = "safety monitor"
_POLL_PERIOD_S = 0.005
_REST_S, _STILL_RAD_S = 10.0, 0.02
"""An arm that is held comes to rest in tenths of a second; then its joints turn by about a degree a second at most, in
the mean over a tenth of a second."""


class SafeRobot(BaseRobotServer):
    """Checks commands before the arm gets them, and measurements before the client gets them.

    Commands are checked and sent under the lock of the arm's state machine, so that no stop falls between. On a clock
    that runs by itself a thread measures too, and stops the arm when the monitor says so; another holds it when its
    client falls silent. In lock-step the same is judged whenever somebody measures.
    """

    def __init__(self, inner: StatefulRobotServer, limits: SafetyLimits, clock: Clock) -> None:
        super().__init__(inner.config, inner.context)
        self.inner = inner
        self.spec = inner.spec
        self.limits = limits
        self.machine = inner.machine
        self._clock = clock
        self._checks = CommandChecks(inner, limits, clock, self._measure)
        self._monitor: Monitor | None = None
        self._fit()
        self._max_age_s = limits.state_max_age_s
        inner.held_age_s = min(HELD_AGE_S, limits.state_max_age_s or math.inf)
        silence_s = None if clock.is_lockstep else limits.watchdog_s
        self._watchdog = Watchdog(inner, clock, silence_s, limits.state_max_age_s, self.stop_for, self._tell)
        self._counts_time = self._checks.counts_time or silence_s is not None
        self._is_in_fault = False
        self.monitor_stops = 0
        """How often a stop had come with the monitor's newest."""
        self._places = RecentPlaces()
        self._standstill = Standstill(inner.tell_halt_again)
        self._events = Events()
        inner.stop_observers.append(
            lambda stop: self._events.note(SafetyEvent("stop", stop.cause, stop.author, stop.since_s))
        )
        needs_watch = not clock.is_lockstep and (limits.watchdog_s is not None or limits.watches)
        works = {"robotkit-monitor": self._measure_once, "robotkit-watchdog": self._watchdog.look}
        self._watch = Watch(works, limits.watchdog_s) if needs_watch else None

    @property
    def is_connected(self) -> bool:
        """True when the arm says that it is connected."""
        return self.inner.is_connected

    @property
    def target_epoch(self) -> int:
        """The epoch of the arm's target, without a measurement."""
        return self.machine.epoch

    @property
    def compliance(self) -> ComplianceParams | None:
        """The compliance that the arm tells."""
        return self.inner.compliance

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call `observer` with each `SafetyEvent` from now on; the result ends the subscription."""
        return self._events.subscribe(observer)

    def connect(self) -> None:
        """Connect the arm and watch over it.

        Raises:
            InvalidConfiguration: connected, it says of itself that it cannot keep a limit; it is disconnected again.
        """
        with self._events.told():
            is_new = not self.inner.is_connected
            if is_new:
                self._checks.stamp_s = -math.inf
                self._standstill.begin_anew()
            self.inner.connect()
            with undone_unless_done(self.disconnect):
                self._accept(is_new=is_new)
                if self._watch is not None:
                    self._watch.start()

    def _accept(self, *, is_new: bool) -> None:
        """Take a connected arm as it says and measures that it is, or refuse it."""
        with self.machine.lock:
            if is_new or self.inner.spec is not self.spec:
                self._fit()
            if self.machine.mode == "holding":
                require_true_kinematics(self.spec, self._measure())

    def _fit(self) -> None:
        """Take what the arm says of itself into the bounds; some arms know themselves only when they are connected.

        Raises:
            InvalidConfiguration: a limit that this arm cannot keep, or a real arm without the limits that it needs.
        """
        require_fitting(self.inner, self.limits, is_lockstep=self._clock.is_lockstep)
        spec, limits = self.inner.spec, self.limits
        if spec.joint_count != self.spec.joint_count:
            raise InvalidConfiguration(
                f"arm {spec.name!r} says {spec.joint_count} joints when it is connected, and {self.spec.joint_count} "
                "before: its driver has to know before"
            )
        self._checks.fit(spec)
        self._rearm()  # a thread may still hold a measurement for the monitor of the last connection
        self._monitor = Monitor(spec, limits) if limits.watches else None
        self.spec = spec

    def disconnect(self) -> None:
        """Stop watching and disconnect the arm, also while a measurement hangs."""
        with self._events.told():
            if self._watch is None:
                self.inner.disconnect()
            else:
                try:
                    self._watch.stop(then=self.inner.disconnect)
                finally:
                    if self.inner.is_connected:  # it was interrupted before it began
                        self._watch.start()

    def get_state(self) -> RobotState:
        """Measure; a measurement that exceeds a limit comes with `mode` "stopped" and the cause in `stop`.

        Raises:
            StaleState: the newest measurement of an arm that is neither stopped nor in a fault is older than allowed.
        """
        try:
            return self._judge(watches_links=self._watch is None)
        finally:
            self._events.tell_noted()

    def check(self, command: RobotCommand) -> None:
        """Raise what `send` would raise now."""
        try:
            with self.machine.lock:
                self._checks.check(command, self._clock.now_s())
                self.inner.check(command)
        finally:
            self._events.tell_noted()

    def require_target(self, target_epoch: int) -> None:
        """Raise unless the arm still has the target of this epoch.

        Raises:
            RobotStopped, DeviceFault, CommandRejected: the arm takes no command now.
            TargetReplaced: something other than a command has replaced the target since.
        """
        if self.machine.epoch != target_epoch:
            self.machine.require_ready()
            raise target_replaced(target_epoch)

    def send(self, command: RobotCommand, target_epoch: int | None = None) -> RobotCommand:
        """Pass a command on that keeps every limit.

        Args:
            command: the new target.
            target_epoch: of the state from which the command was made; None: the present one. A stop, a hold or a
                recovery that comes before the arm has the command makes it one of the past, and it is refused.

        Raises:
            TargetReplaced: the arm's target is not that of `target_epoch` any more.
            InvalidCommand, Unsupported, JointLimitExceeded, OutsideWorkspace, StepTooLarge: which limit, and how far.
            RobotStopped, DeviceFault, CommandRejected: the arm takes no command now.
            StaleState: there is no fresh measurement to move on.
        """
        epoch = self.machine.epoch if target_epoch is None else target_epoch
        try:
            with self.machine.lock:
                if self.machine.epoch != epoch:
                    self.require_target(epoch)
                now_s = self._clock.now_s() if self._counts_time or isinstance(command, JointCommand) else 0.0
                target = self._checks.check(command, now_s)
                taken, accepted = self.machine.targets, None
                self._watchdog.commanding(now_s)
                try:
                    accepted = self.inner.send(command)
                    return accepted
                finally:
                    if self.machine.targets != taken:  # also where the answer was lost: the arm may follow it
                        self._checks.took(target, now_s, is_sure=accepted is not None)
                        self._watchdog.commanded(now_s)
        except CommandRejected as error:
            kind = getattr(command, "kind", "malformed")
            self._note("refused", f"a {kind} command: {error.message}", "client")
            raise
        finally:
            self._events.tell_noted()

    def move_to_joint_positions(self, positions_rad: np.ndarray) -> None:
        """Pass a joint motion on whose whole path keeps the limits, at a speed that keeps them too.

        Raises:
            Unsupported: the arm cannot be told that speed, and its own may be higher; or it does not tell where its
                joints bring the tool, and the cell bounds the tool.
            TargetReplaced: a stop, a hold or a recovery came before it began.
            MotionFailed: the arm is not measured standing.
        """
        try:
            goal_rad = joint_array(positions_rad)
            self.inner.finish_joint_motion(goal_rad, self._begin_joint_motion(goal_rad))
        except CommandRejected as error:
            self._note("refused", f"a joint motion: {error.message}", "client")
            raise
        finally:
            self._events.tell_noted()

    def _begin_joint_motion(self, goal_rad: np.ndarray) -> Travel:
        """Begin a joint motion from rest, so that the path begins where it was looked at.

        What is refused at once changes nothing.
        """
        epoch, end_s, is_held = self.machine.epoch, self._clock.now_s() + _REST_S, False
        while True:
            with self.machine.lock:
                self.require_target(epoch)
                rate_max_hz = self._checks.check_motion(goal_rad, self._clock.now_s())
                stands = self._clock.is_lockstep or self._stands()
                if stands:  # in lock-step no time passes in which it could come to rest
                    return self.inner.begin_joint_motion(goal_rad, rate_max_hz)
                if stands is False and not is_held:
                    self.inner.hold()
                    epoch, is_held = self.machine.epoch, True
            self._await_other(stands, epoch, end_s)

    def _await_other(self, stands: bool | None, epoch: int, end_s: float) -> None:
        """Wait until whether the arm stands is told otherwise than by `stands`, or it has another target."""
        while True:
            self._clock.advance(_POLL_PERIOD_S)
            if self._stands() is not stands or self.machine.epoch != epoch:
                return
            if self._clock.now_s() > end_s:
                found = (
                    "was not measured often enough to tell that it stands" if stands is None else "did not come to rest"
                )
                raise MotionFailed(f"arm {self.spec.name!r} {found} within {_REST_S:g} s; is somebody moving it?")

    def _stands(self) -> bool | None:
        """True when the arm stands, by its places; None until it was measured for a tenth of a second.

        No speed that it tells is believed.
        """
        self._measure()
        way = self._places.newest_way()
        return None if way is None else way.speed_rad_s <= _STILL_RAD_S

    def set_compliance(self, params: ComplianceParams) -> None:
        """Pass an impedance law on that keeps the cell's bounds.

        Raises:
            InvalidCommand: says which bound, and what is allowed; the law in force stays.
        """
        if not isinstance(params, ComplianceParams):
            raise InvalidCommand(
                f"compliance is set by ComplianceParams(translational_stiffness_n_m=…), got {shown(params)}"
            )
        excess = compliance_excess(params, self.limits.compliance)
        if excess is not None:
            self._tell("refused", f"a change of compliance: {excess}", "client")
            raise InvalidCommand(excess)
        with self._events.told():
            self.inner.set_compliance(params)

    def stop(self) -> None:
        """Stop the arm."""
        self.stop_for("stop() was called", "this process")

    def stop_for(self, cause: str, author: str, code: str = "robot_stopped") -> None:
        """Stop the arm, and keep why and who."""
        with self._events.told():
            self.inner.stop_for(cause, author, code)

    def recover(self, stops_seen: int | None = None) -> None:
        """Recover the arm, which then holds, from the first `stops_seen` stops; None: from those of before the call."""
        stops_seen = self.machine.stops if stops_seen is None else stops_seen
        with self._events.told():
            was_down = self.machine.mode in ("stopped", "fault")
            if was_down:
                # Before: the monitor checks nothing while the arm is down, and then counts from where the arm is.
                self._rearm()
            self.inner.recover(stops_seen)
            if was_down:
                with undone_unless_done(self.disconnect):
                    self._accept(is_new=False)
            if self._measure().mode in ("stopped", "fault"):
                self.machine.require_ready()  # says which, also of what came while it recovered
            self._note("recover", "the arm holds", "client")

    def hold(self) -> None:
        """Hold the measured configuration."""
        with self._events.told():
            self.inner.hold()

    def forget_target(self) -> None:
        """Tell the arm that it was moved to another place."""
        with self._events.told():
            self._rearm()
            self.inner.forget_target()
            self._standstill.begin_anew()

    def _rearm(self) -> None:
        if self._monitor is not None:
            self._monitor.rearm()

    def _judge(self, *, watches_links: bool) -> RobotState:
        """Measure, and stop the arm if what is measured says so; where the links are costs most, so the thread asks."""
        monitor = self._monitor
        rearms = 0 if monitor is None else monitor.rearms
        state = self._measure()
        if self._max_age_s is not None and state.mode not in ("stopped", "fault"):
            if self._clock.now_s() - state.stamp_s > self._max_age_s:
                state = self._measure()  # this thread may have been held up, with its whole process
            self._checks.require_fresh(state)
        if monitor is not None and state.stop is None:
            trip = monitor.check(state, rearms, watches_links=watches_links)
            if trip is not None:
                self.monitor_stops = self.machine.stops + 1
                self.stop_for(trip.cause, MONITOR, trip.code)
                return self._measure()
        return state

    def _measure(self) -> RobotState:
        state = self.inner.get_state()
        self._checks.stamp_s = state.stamp_s
        self._places.add(state.stamp_s, state.joint_positions_rad)
        is_down = state.mode in ("stopped", "fault")
        moves_on = self._standstill.is_left_by(state, has_to_stand=is_down and self.machine.has_to_stand)
        if moves_on != state.moves_on:
            self.inner.moves_on = moves_on
            state = state.model_copy(update={"moves_on": moves_on})
        if (state.mode == "fault") != self._is_in_fault:
            self._is_in_fault = not self._is_in_fault
            if self._is_in_fault:
                self._note("fault", ", ".join(state.faults) or "fault", "device")
        return state

    def _measure_once(self) -> None:
        """Measure and judge the arm once, as the monitor's thread does on each round."""
        try:
            self._watchdog.measured(lambda: self._judge(watches_links=True))
        except BaseException as error:  # also a driver's own fault: nobody knows what the arm does
            is_connected = self.inner.is_connected
            if is_connected and self.machine.stop is None:
                self.stop_for(said(error), MONITOR)
            if is_connected and not isinstance(error, RobotkitError):
                raise
        finally:
            self._events.tell_noted()

    def _note(self, kind: EventKind, message: str, author: str) -> None:
        self._events.note(SafetyEvent(kind, message, author, self._clock.now_s()))

    def _tell(self, kind: EventKind, message: str, author: str) -> None:
        self._note(kind, message, author)
        self._events.tell_noted()


def target_replaced(target_epoch: int) -> TargetReplaced:
    """The error of a command that was made for the target of `target_epoch`, when the arm has another by now."""
    return TargetReplaced(
        f"the arm's target was replaced since epoch {target_epoch} (a hold, a stop, a recovery, another client, a "
        "reset): make a new command from a fresh state"
    )
