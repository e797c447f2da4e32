"""`MeasuringArm`: the states of an arm, made of its body's measurement, its machine's mode and its halts."""

from __future__ import annotations

import itertools
import time
from abc import abstractmethod

from robotkit.aside import aside_logger
from robotkit.devices.body import ArmBody, Measurement
from robotkit.devices.calls import HALT
from robotkit.devices.device import DeviceContext
from robotkit.devices.endings import ends_the_program
from robotkit.devices.halts import Halts
from robotkit.devices.machine import ArmFault, ArmMachine
from robotkit.devices.soundness import require_finite, require_pose, require_shapes
from robotkit.devices.words import said_of
from robotkit.errors import DeviceError, DeviceFault, RemoteError, StaleState
from robotkit.schema import PluginConfig, RobotSpec, RobotState

_LOG = aside_logger(__name__)
_YOUNG_S = 0.05
"""A call to the device that is younger is about to return, and no reason to say that a halt is owed."""
_ATTEMPTS = 3
"""How often an arm is measured for one state, while something else replaces its target meanwhile."""
HELD_AGE_S = 0.05
"""How old the measurement may be at which an arm is held, which an older one would throw back to where it was."""
_FRESH_S, _FRESH_TRIES, _POLL_PERIOD_S = 0.1, 3, 0.005
"""How long, and how often at least, such a measurement is tried for: a state of 10 Hz comes within it, and a process
that was kept from running has not tried by having been late."""


class MeasuringArm(ArmBody):
    """The common reading of the state machine's arms; an error of a body becomes a fault."""

    def __init__(self, config: PluginConfig, context: DeviceContext, spec: RobotSpec) -> None:
        super().__init__(config, context)
        self.spec = spec
        self.machine = ArmMachine(spec.name, self._event_time_s)
        self.held_age_s = HELD_AGE_S
        """How old the measurement may be at which it is held, and its control begins; its cell may say less."""
        self.moves_on = False
        """Whether it was measured moving although it has to stand; its cell looks at that."""
        self._halts = Halts(spec.name, self.machine, self._tell_halt)
        self._newest: tuple[Measurement, int] | None = None
        """The newest measurement, with the target epoch in which it was made."""
        self._failure: ArmFault | None = None  # the newest that was told since the device's faults were cleared
        self._numbers = itertools.count()
        self._newest_number = 0

    def _event_time_s(self) -> float:
        """The cell's time; this machine's where the cell's clock fails, which comes between no stop and the arm."""
        try:
            return self.context.clock.now_s()
        except Exception:
            return time.monotonic()

    @property
    def is_connected(self) -> bool:
        """True between `connect()` and `disconnect()`."""
        return self.machine.is_connected

    @property
    def target_epoch(self) -> int:
        """The epoch of the arm's target, without a measurement."""
        return self.machine.epoch

    def get_state(self) -> RobotState:
        """The newest measurement, in every mode; after a fault of the connection the last one, with its old stamp.

        Its target epoch is the one in which it was measured: a command that is made from a measurement of before a hold
        or a recovery is refused after it.

        Raises:
            NotConnected: before `connect()`.
            DeviceError: the device has not measured anything yet.
        """
        if not self.machine.is_connected:
            self.require_connected()
        measured, epoch = self._newest_measurement()
        for _ in range(_ATTEMPTS - 1):
            if epoch == self.machine.epoch or self.machine.fault is not None:
                break
            measured, epoch = self._newest_measurement()
        return self._state_of(measured, epoch)

    def newest_state(self) -> RobotState | None:
        """The last measurement, if any, with the present mode and stop: asks no device and waits for nothing."""
        newest = self._newest
        return None if newest is None else self._state_of(*newest)

    def _state_of(self, measured: Measurement, epoch: int) -> RobotState:
        machine, fault = self.machine, self.machine.fault
        return RobotState.unchecked(
            stamp_s=measured.stamp_s,
            tcp_pose_in_base=measured.tcp_pose_in_base,
            tcp_twist_in_base=measured.tcp_twist_in_base,
            wrench_in_tcp=measured.wrench_in_tcp,
            joint_positions_rad=measured.joint_positions_rad,
            joint_velocities_rad_s=measured.joint_velocities_rad_s,
            jacobian_in_base=measured.jacobian_in_base,
            stops=machine.stops,  # before the stop itself is read: who sees this number has seen no later one
            holds=machine.holds,
            mode=machine.mode,
            faults=() if fault is None else fault.names,
            fault_since_s=None if fault is None else fault.since_s,
            stop=machine.stop,
            is_halt_owed=self._is_halt_owed(),
            moves_on=self.moves_on and machine.has_to_stand,
            recoveries=machine.recoveries,
            target_epoch=epoch,
            control_success_rate=measured.control_success_rate,
        )

    def _is_halt_owed(self) -> bool:
        """True while a halt is owed.

        True also while a call may begin to move the arm after a halt that the device has taken; a young one returns.
        """
        if self._halts.is_owed:
            return True
        is_down = self.machine.stop is not None or self.machine.fault is not None
        return is_down and self.machine.calls.outlive_a_halt(for_s=_YOUNG_S)

    def _tell_halt(self) -> None:
        with self.machine.calls.under_way(HALT):
            self._halt()

    def _forget_measurements(self) -> None:
        self._newest = None

    def _newest_measurement(self) -> tuple[Measurement, int]:
        """Return the newest measurement.

        One that was under way across a connection or a recovery says nothing of the arm after it: measure again.
        """
        machine = self.machine
        self._notice_fault()
        epoch, clearings, number = machine.epoch, machine.clearings, next(self._numbers)
        try:
            measured = self._measure_soundly()
        except BaseException as error:
            if not machine.is_connected or ends_the_program(error):
                raise
            if clearings == machine.clearings and (newest := self._after_a_failure(error, clearings)) is not None:
                return newest
        else:
            if clearings == machine.clearings:
                self._keep(measured, epoch, number)
                return measured, epoch
        return self._newest_measurement()

    def _keep(self, measured: Measurement, epoch: int, number: int) -> None:
        """Keep the measurement, unless one that began later, and has a later stamp, was faster."""
        newest = self._newest
        if newest is None or number > self._newest_number or measured.stamp_s >= newest[0].stamp_s:
            self._newest, self._newest_number = (measured, epoch), number

    def _after_a_failure(self, error: BaseException, clearings: int) -> tuple[Measurement, int] | None:
        """Return the last measurement of an arm that is in a fault now; None when its faults were cleared since."""
        fault = self._fault_of_driver(error, "measure")
        if not self._latch(self.machine.fault_of((fault.code,), fault), clearings):
            return None
        if self._newest is None:
            if fault is error:
                raise error
            raise fault from error
        return self._newest

    def _measure_just_now(self) -> Measurement:
        """Where the arm is; no fault is latched.

        Raises:
            StaleState: it has measured nothing for too long, and nothing came while it was waited for.
            DeviceError, RemoteError: what the body raises, or a `DeviceFault` made of it.
        """
        clock = self.context.clock
        end_s = time.monotonic() + _FRESH_S
        for tried in itertools.count(1):
            is_last = clock.is_lockstep or (tried >= _FRESH_TRIES and time.monotonic() >= end_s)
            epoch, number = self.machine.epoch, next(self._numbers)
            try:
                measured = self._measure_soundly()
            except (DeviceError, RemoteError):
                raise
            except Exception as error:
                raise self._fault_of_driver(error, "measure") from error
            age_s = clock.now_s() - measured.stamp_s
            if abs(age_s) <= self.held_age_s:
                self._keep(measured, epoch, number)
                return measured
            if is_last:
                break
            time.sleep(_POLL_PERIOD_S)
        was = f"was measured {age_s:.3f} s ago" if age_s > 0.0 else f"is said to be {-age_s:.3f} s in the future"
        raise StaleState(
            f"arm {self.spec.name!r} cannot be held where it {was}; at most {self.held_age_s:g} s is allowed. Check "
            "its cable and its controller, and its driver's clock"
        )

    def _measure_soundly(self) -> Measurement:
        measured = self._measure()
        require_shapes(measured, self.spec.joint_count)
        require_pose(measured.tcp_pose_in_base)
        require_finite(measured)
        return measured

    def _fault_of_driver(self, error: BaseException, doing: str) -> DeviceError | RemoteError:
        """Turn what no driver should raise into a fault of the device, so that a state can be read after it."""
        if isinstance(error, DeviceError | RemoteError):
            return error
        if self.machine.fault is None:
            _LOG.error("the driver of arm %r failed", self.spec.name, exc_info=error)
        return DeviceFault(f"the driver of arm {self.spec.name!r} failed to {doing}: {said_of(error)}")

    def _note_clearing(self) -> None:
        """Note that the device's faults were cleared: what was seen of it before says nothing any more."""
        self.machine.clearings += 1
        self._failure = None

    def _require_no_failure(self) -> None:
        """Look at the device, and raise the error of the fault that it has told since its faults were cleared."""
        self._notice_fault()
        self._raise_anew(self._failure)

    @staticmethod
    def _raise_anew(fault: ArmFault | None) -> None:
        """Raise a new error for a fault, if there is one: whoever catches it may add to its traceback."""
        if fault is not None:
            raise type(fault.error)(fault.error.message) from fault.error

    @abstractmethod
    def _notice_fault(self) -> None:
        """Latch the fault that has ended control, if there is one."""

    @abstractmethod
    def _latch(self, fault: ArmFault, clearings: int | None = None) -> bool:
        """Refuse commands until recovery, and bring to rest what still moves.

        Args:
            fault: what was found.
            clearings: `machine.clearings` of before it was looked for; None when the lock is held since.

        Returns:
            False when the faults were cleared since, so that it is none of now: look again.
        """
