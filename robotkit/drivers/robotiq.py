"""`RobotiqGripper`: a Robotiq 2F-85 or 2F-140, over pymodbus."""

from __future__ import annotations

import time

from robotkit.aside import aside_logger
from robotkit.devices import BaseGripperServer, CellContext
from robotkit.drivers.polling import Poller
from robotkit.drivers.robotiq_config import RobotiqConfig
from robotkit.drivers.robotiq_line import BUSY, Reading, RobotiqLine
from robotkit.drivers.robotiq_registers import CLOSED, FIRST_REAL_FAULT, OPEN, fault_text
from robotkit.errors import DeviceFault
from robotkit.schema import GripperSpec, GripperState

__all__ = ["RobotiqConfig", "RobotiqGripper"]

_LOG = aside_logger(__name__)


class RobotiqGripper(BaseGripperServer):
    """A thread of its own speaks to the gripper; commands are left for it, states come from its last reading.

    A lost connection is opened again: a gripper that kept its power goes on holding, one that lost it reports a fault
    until `activate()` or `reset()`. An accepted target is sent until the gripper confirms it; one that it does not
    confirm in `command_timeout_s` is given up, and `get_state` raises until the next command.
    """

    Config = RobotiqConfig
    answers_at_once = True

    def __init__(self, config: RobotiqConfig, context: CellContext) -> None:
        super().__init__(config, context)
        self._options = config
        self.spec = GripperSpec(name="robotiq", width_max_m=config.width_max_m)
        self.activates_on_connect = config.activate_on_connect
        self._line = RobotiqLine(config, context.clock.now_s)
        self._poller: Poller[Reading] = Poller(
            self._line,
            f"robotiq {context.name!r}",
            max_age_s=config.max_age_s,
            period_s=config.poll_period_s,
            join_s=3.0 + 3.0 * config.timeout_s,
        )
        self._told = 0
        """Number of the lost target that a caller has been told of."""

    @property
    def is_connected(self) -> bool:
        """True between `connect()` and `disconnect()`."""
        return self._poller.is_running

    def connect(self) -> None:
        """Open the line; activate a gripper that is not ready and wait for it, unless told otherwise.

        Raises:
            ConnectionFailed: the gripper does not answer.
            DeviceFault: it did not become ready in time.
        """
        if self.is_connected:
            return
        self._line.forget()
        self._told = 0
        self._poller.start(wait_s=2.0 * self._options.timeout_s + 1.0)
        if not self.activates_on_connect:
            return
        try:
            self.activate()
            self._wait_until_ready()
        except BaseException:  # an interrupted caller leaves no thread behind either
            self._poller.stop()
            raise

    def disconnect(self) -> None:
        """Close the line; the gripper goes on holding what it holds.

        A target that is under way is sent first; one that is lost without a caller that was told goes to the log.
        """
        if not self.is_connected:
            return
        is_settled = self._line.wait_until_settled(self._options.command_timeout_s)
        lost = self._line.lost if is_settled else "the gripper was disconnected before"
        self._poller.stop()
        if lost is not None and self._line.target.number != self._told:
            _LOG.warning("%s", self._lost_target(lost))

    def get_state(self) -> GripperState:
        """The newest status; `raw` is the position register, 0 open to 255 closed.

        Raises:
            DeviceFault: also when the gripper did not take the last target.
        """
        self.require_connected()
        reading, target, lost = self._poller.newest(), self._line.target, self._line.lost
        if lost is not None:
            self._told = target.number
        self._raise_fault(reading)
        if lost is not None:
            raise self._lost_target(lost)
        inputs = reading.inputs
        is_unconfirmed = reading.settled < target.number
        is_pending = is_unconfirmed or self._is_changing(reading)
        position = self._normalised(inputs.position)
        return GripperState.unchecked(
            stamp_s=reading.stamp_s,
            position=position,
            target_position=self._normalised(target.raw if is_unconfirmed else inputs.requested_position),
            width_m=position * self.spec.width_max_m,
            is_moving=is_pending or (inputs.goes_to and inputs.contact == 0),
            is_grasping=not is_pending and inputs.is_holding,
            raw=float(inputs.position),
        )

    def move(self, position: float) -> None:
        """Leave a new target for the line; the ends press all the way, so that a grasp keeps its force.

        Raises:
            InvalidCommand: not in [0, 1].
            StaleState: the gripper does not answer; nothing is kept for later.
            DeviceFault: the gripper is in a fault or not activated.
        """
        self.require_connected()
        self.require_position(position)
        self._raise_fault(self._poller.newest())
        self._line.go_to(self._raw(position))

    def activate(self) -> None:
        """Start to activate a gripper that is not ready; `get_state` reports it as moving until it is."""
        if self._needs_restart():
            self._line.restart()

    def reset(self) -> None:
        """Open; a gripper in a fault is cleared and activated first."""
        if self._needs_restart():
            self._line.restart(OPEN)
        else:
            self._line.go_to(OPEN)

    def _needs_restart(self) -> bool:
        """True for a gripper that is neither ready nor becoming ready."""
        self.require_connected()
        reading = self._poller.newest()
        is_coming = self._is_changing(reading) and reading.inputs.fault < FIRST_REAL_FAULT
        return not (reading.inputs.is_ready or is_coming)

    def _wait_until_ready(self) -> None:
        while self._is_changing(self._poller.newest()):
            time.sleep(self._options.poll_period_s)
        self._raise_fault(self._poller.newest())

    def _is_changing(self, reading: Reading) -> bool:
        """True while the gripper is being made ready: asked for, under way, or done but not yet measured."""
        return self._line.is_busy or reading.phase in BUSY

    def _raise_fault(self, reading: Reading) -> None:
        """Raise what the gripper reports, unless it is just being made ready."""
        inputs = reading.inputs
        if inputs.is_ready or self._is_changing(reading):
            return
        cause = fault_text(inputs.fault) if inputs.fault >= FIRST_REAL_FAULT else "it is not activated"
        if reading.phase == "failed":
            cause += f", and activation did not end within {self._options.activation_timeout_s:g} s"
        raise DeviceFault(f"the Robotiq gripper cannot move: {cause}; call reset() when the fingers are free")

    def _lost_target(self, why: str) -> DeviceFault:
        position = self._normalised(self._line.target.raw)
        return DeviceFault(
            f"the Robotiq gripper was not sent to {position:.2f}: {why}; check its line, and send it again"
        )

    def _normalised(self, raw: int) -> float:
        """0 closed to 1 open."""
        low, high = self._options.raw_open, self._options.raw_closed
        return min(1.0, max(0.0, (high - raw) / (high - low)))

    def _raw(self, position: float) -> int:
        if position in (0.0, 1.0):
            return OPEN if position else CLOSED
        low, high = self._options.raw_open, self._options.raw_closed
        return round(high + position * (low - high))
