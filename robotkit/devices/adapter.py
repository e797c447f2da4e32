"""`AdaptedRobot`: the state machine around an arm that has none of its own."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import replace
from inspect import signature
from typing import get_args

import numpy as np

from robotkit.aside import aside_logger
from robotkit.devices.body import Measurement
from robotkit.devices.first_cause import noted_on
from robotkit.devices.foreign_targets import ForeignTargets
from robotkit.devices.machine import ArmFault, Travel
from robotkit.devices.robot import BaseRobotServer, standing_command
from robotkit.devices.stateful_robot import StatefulRobotServer
from robotkit.devices.words import said, said_of
from robotkit.errors import CommandRejected, DeviceError, DeviceFault, MotionFailed
from robotkit.schema import ComplianceParams, RobotCommand, RobotMode, RobotState

_LOG = aside_logger(__name__)
_HOLD, _MOTION = "hold of a plain arm", "joint motion of a plain arm"
_HOLD_S = 0.2
"""How long the hold of an arm that tracks may take before it is disconnected; then it is told to stop."""
_TOLD_S, _POLL_PERIOD_S = 0.5, 0.005
"""How long after its recovery an arm may still tell the fault, in a state that it has received before."""


class AdaptedRobot(StatefulRobotServer):
    """Gives any `BaseRobotServer` a stop that sticks, a state in every mode and a refusal instead of a queue.

    The arm's own latch, if it has one, is not relied on, nor its word that it is stopped: while a call that was made
    before the stop is in the driver, it is told to stop. Its joint motions run at its own speed, unless its
    `move_to_joint_positions` takes `rate_max_hz` too, as that of the state machine does.

    Args:
        inner: the arm.
    """

    _may_hang_s = 0.5

    def __init__(self, inner: BaseRobotServer) -> None:
        super().__init__(inner.config, inner.context, inner.spec)
        self.inner = inner
        self._foreign = ForeignTargets()
        self._may_track = False  # a target was given, and nothing has made the arm stand since
        self.bounds_joint_motions = "rate_max_hz" in signature(inner.move_to_joint_positions).parameters

    def hold(self) -> None:
        """Hold; a joint motion of such an arm can only be ended by a stop, which then stays latched."""
        with self.machine.lock:  # no motion begins between the question and the hold
            if self.machine.activity == "travelling":
                self.stop_for("hold() ended a joint motion, which this arm can only do by stopping", _HOLD)
                return
            super().hold()

    @property
    def compliance(self) -> ComplianceParams | None:
        """The parameters that the arm tells, otherwise those set since it was connected or recovered."""
        return self.inner.compliance or self._compliance

    def check(self, command: RobotCommand) -> None:
        """Check the command, also by asking the arm itself."""
        super().check(command)
        self.inner.check(command)

    def forget_target(self) -> None:
        """Tell the arm, too; a joint motion of such an arm can only be ended by a stop, which then stays latched."""
        try:
            with self.machine.lock:
                if self.machine.activity == "travelling":
                    self.stop_for("the world was reset in a joint motion, which this arm can only end by a stop", _HOLD)
                else:
                    super().forget_target()
        finally:
            with self._foreign.replacing(), self.machine.calls.under_way("forget_target"):
                self.inner.forget_target()

    def _open(self) -> ArmFault | None:
        self._compliance = None
        with self._foreign.replacing():
            self.inner.connect()
        self.spec = self.inner.spec
        try:
            return self._reported(self.inner.get_state())
        except DeviceError as error:
            return self.machine.fault_of((error.code,), error)
        except BaseException as error:
            with noted_on(error):
                self._close()
            raise

    def _close(self) -> None:
        try:
            self.inner.disconnect()
        except BaseException:
            _LOG.error("arm %r does not disconnect: its device is still open, and is told to stop", self.spec.name)
            with suppress(Exception), self._foreign.replacing():
                self.inner.stop()
            raise

    def _measure(self) -> Measurement:
        epoch, clearings, mark = self.machine.epoch, self.machine.clearings, self._foreign.mark()
        state = self.inner.get_state()
        has_replaced = self._foreign.has_replaced(mark, state.target_epoch)
        fault = self._reported(state)
        if fault is not None:
            if epoch == self.machine.epoch:
                self._latch(replace(fault, is_reported=True), clearings)
        elif has_replaced:
            with self.machine.hurried():
                self.machine.replaced()
        return Measurement(
            state.stamp_s,
            state.tcp_pose_in_base,
            state.tcp_twist_in_base,
            state.wrench_in_tcp,
            state.joint_positions_rad,
            state.joint_velocities_rad_s,
            state.jacobian_in_base,
            state.control_success_rate,
        )

    def _rest_before_closing(self) -> None:
        """Hold an arm that tracks: a stop would be latched in the arm, and is told only to one that does not hold."""
        under_way = self.machine.calls.oldest(of_others=True)
        if under_way is not None or (self._may_track and not self._holds_in_time()):
            super()._rest_before_closing()

    def _holds_in_time(self) -> bool:
        """Hold, and whether that was done in 0.2 s: its measurement may hang, and a late one makes no target."""
        is_late, has_held, is_over = threading.Event(), threading.Event(), threading.Event()

        def hold() -> None:
            try:
                measured = self._measure_just_now()
                with self.machine.calls.under_way("hold"):
                    if not is_late.is_set() and self._may_be_held():
                        self._hold_at(measured)
                        has_held.set()
            except BaseException as error:  # the arm is told to stop then
                _LOG.warning("arm %r does not hold before it is disconnected: %s", self.spec.name, said_of(error))
            is_over.set()

        with suppress(RuntimeError):  # the process may have no more threads
            threading.Thread(target=hold, name="robotkit-hold", daemon=True).start()
            is_over.wait(_HOLD_S)
        is_late.set()
        return has_held.is_set()

    def _halt_quietly(self) -> None:
        """An arm that stands in a fault of its own is told nothing."""
        if self._may_track or self.machine.calls.outlive_a_halt():
            super()._halt_quietly()

    def _follow(self, command: RobotCommand) -> RobotCommand:
        self._may_track = True
        try:
            return self.inner.send(command)
        finally:
            self._may_track = True  # also after a stop that did not wait for the call

    def _start(self) -> None:
        """Note that the arm holds: `connect()` and `recover()` of the contract leave it so."""
        self._may_track = False

    def _hold(self) -> None:
        self._hold_at(self._place)

    def _hold_at(self, measured: Measurement) -> None:
        if getattr(self.inner.hold, "__func__", None) is BaseRobotServer.hold:
            self.inner.send(standing_command(self.spec, measured.tcp_pose_in_base, measured.joint_positions_rad))
        else:
            with self._foreign.replacing():
                self.inner.hold()
        self._may_track = False

    def _halt(self) -> None:
        with self._foreign.replacing():
            self.inner.stop()
        self._may_track = False

    def _travel(self, goal_rad: np.ndarray, travel: Travel) -> None:
        options = {"rate_max_hz": travel.rate_max_hz} if self.bounds_joint_motions else {}
        with self.machine.calls.under_way("move_to_joint_positions"):
            with travel.moving():
                self._may_track = True
            self._move(goal_rad, options)
            travel.require()

    def _move(self, goal_rad: np.ndarray, options: dict[str, float]) -> None:
        try:
            with self._foreign.replacing():
                self.inner.move_to_joint_positions(goal_rad, **options)
        except (CommandRejected, MotionFailed):
            raise
        except BaseException as error:  # the answer may have been lost, and not the motion
            if self.machine.mode == "travelling":
                self._stop_quietly(f"it is not known whether its joint motion goes on: {said(error)}", _MOTION)
            raise

    def _clear_faults(self) -> None:
        seen, self._compliance = self._stops_seen, None
        try:
            with (
                self._halts.paused(seen),
                self._foreign.replacing(),
                self.machine.calls.under_way("recover", seen, refusal=DeviceError),
            ):
                self.inner.recover()
            self._await_state_after_recovery()
        except DeviceError:
            raise
        except BaseException:  # the answer may have been lost, and the arm may be ready to move
            with self.machine.lock:
                if self.is_connected:
                    super()._halt_quietly()
            raise
        self.spec = self.inner.spec

    def _await_state_after_recovery(self) -> None:
        """Wait while the newest state is one of before, in which the arm is in its fault.

        Whatever it tells, `recover` judges by a measurement of its own, and halts an arm that it does not take.
        """
        end_s = time.monotonic() + (0.0 if self.context.clock.is_lockstep else _TOLD_S)
        with suppress(Exception):
            while self._reported(self.inner.get_state()) is not None and time.monotonic() < end_s:
                time.sleep(_POLL_PERIOD_S)

    def _set_compliance(self, params: ComplianceParams) -> None:
        try:
            self.inner.set_compliance(params)
        except CommandRejected:
            raise
        except BaseException:  # the answer may have been lost, and not the change
            self._compliance = None
            raise

    def _reported(self, state: RobotState) -> ArmFault | None:
        if state.mode not in get_args(RobotMode):
            raise DeviceFault(f"arm {self.spec.name!r} says that its mode is {said(state.mode)!r}, which is none")
        if state.mode == "fault":
            return self.machine.fault_of(tuple(map(said, state.faults)) or ("fault",))
        if state.mode == "stopped" and self.machine.stop is None:
            return self.machine.fault_of(("stopped_at_the_device",))
        return None
