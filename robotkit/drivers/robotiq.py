"""`RobotiqGripper`: a Robotiq 2F-85 or 2F-140, over pymodbus."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, model_validator

from robotkit.devices import BaseGripperServer, CellContext
from robotkit.drivers.polling import Poller, Source
from robotkit.drivers.robotiq_modbus import ModbusLink, Transport
from robotkit.drivers.robotiq_registers import FIRST_REAL_FAULT, Inputs, Outputs, fault_text
from robotkit.errors import DeviceFault, InvalidCommand
from robotkit.schema import GripperSpec, GripperState, PluginConfig

_OPEN, _CLOSED = 0, 255

Phase = Literal["idle", "clearing", "activating", "failed"]
BUSY: tuple[Phase, ...] = ("clearing", "activating")


class RobotiqConfig(PluginConfig):
    """Options of a Robotiq 2F gripper."""

    transport: Transport = "tcp"
    """tcp: the gripper's own Modbus TCP server. rtu: a serial port. rtu-over-tcp: serial bytes through a TCP bridge."""
    address: str = "192.168.1.11"
    """Host name or IP address; for rtu the serial port, such as "/dev/ttyUSB0"."""
    port: int = Field(502, gt=0, lt=65536)
    device_id: int = Field(9, ge=0, le=247)
    """Modbus unit of the gripper."""
    timeout_s: float = Field(0.2, gt=0.0, le=2.0)
    """How long one answer may take."""
    poll_period_s: float = Field(0.01, gt=0.0, le=0.2)
    """Pause between two status readings."""
    max_age_s: float = Field(0.5, gt=0.0)
    """Without a status for this long `get_state` and `move` raise StaleState."""
    activation_timeout_s: float = Field(8.0, gt=0.0)
    """How long clearing and activating may take together; the fingers travel to both ends meanwhile."""
    activate_on_connect: bool = True
    """Activate a gripper that is not ready when it is connected: its fingers move."""
    speed: int = Field(255, ge=0, le=255)
    force: int = Field(150, ge=0, le=255)
    width_max_m: float = Field(0.085, gt=0.0)
    """Distance between the open fingers: 0.085 for the 2F-85, 0.14 for the 2F-140, less with long fingertips."""
    raw_open: int = Field(3, ge=0, le=255)
    """Measured register value of the open fingers."""
    raw_closed: int = Field(230, ge=0, le=255)
    """Measured register value of the closed fingers."""

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> Self:
        if self.raw_open >= self.raw_closed:
            raise ValueError(f"raw_open ({self.raw_open}) must be smaller than raw_closed ({self.raw_closed})")
        return self


@dataclass(frozen=True)
class Reading:
    """One status of the gripper, and what the driver was doing then."""

    stamp_s: float
    inputs: Inputs
    phase: Phase


class RobotiqGripper(BaseGripperServer):
    """A thread of its own speaks to the gripper; commands are left for it, states come from its last reading.

    A lost connection is opened again without moving anything: a gripper that kept its power goes on holding, one that
    lost it reports a fault until `activate()` or `reset()`.
    """

    Config = RobotiqConfig

    def __init__(self, config: RobotiqConfig, context: CellContext) -> None:
        super().__init__(config, context)
        self._options = config
        self.spec = GripperSpec(name="robotiq", width_max_m=config.width_max_m)
        self._line = _Line(config, context)
        self._poller: Poller[Reading] = Poller(
            self._line, f"robotiq {context.name!r}", max_age_s=config.max_age_s, period_s=config.poll_period_s
        )

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
        self._poller.start(wait_s=2.0 * self._options.timeout_s + 1.0)
        if not self._options.activate_on_connect:
            return
        try:
            self.activate()
            self._wait_until_ready()
        except Exception:
            self._poller.stop()
            raise

    def disconnect(self) -> None:
        """Close the line; the gripper goes on holding what it holds."""
        self._poller.stop()

    def get_state(self) -> GripperState:
        """The newest status; `raw` is the position register, 0 open to 255 closed."""
        self.require_connected()
        reading = self._poller.newest()
        inputs, target = reading.inputs, self._line.target
        self._raise_fault(reading)
        is_pending = self._is_changing(reading) or (target is not None and inputs.requested_position != target)
        position = self._normalised(inputs.position)
        return GripperState.trusted(
            stamp_s=reading.stamp_s,
            position=position,
            target_position=self._normalised(inputs.requested_position if target is None else target),
            width_m=position * self.spec.width_max_m,
            is_moving=is_pending or (inputs.goes_to and inputs.contact == 0),
            is_grasping=not is_pending and inputs.contact in (1, 2),
            raw=float(inputs.position),
        )

    def move(self, position: float) -> None:
        """Leave a new target for the line; the ends press all the way, so that a grasp keeps its force.

        Raises:
            StaleState: the gripper does not answer; nothing is kept for later.
            DeviceFault: the gripper is in a fault or not activated.
        """
        self.require_connected()
        if not (math.isfinite(position) and 0.0 <= position <= 1.0):
            raise InvalidCommand(f"gripper position {position!r} is not in [0, 1]; 0 is closed, 1 is open")
        self._raise_fault(self._poller.newest())
        self._line.target = self._raw(position)

    def activate(self) -> None:
        """Start to activate a gripper that is not ready; `get_state` reports it as moving until it is."""
        self.require_connected()
        if not self._poller.newest().inputs.is_ready:
            self._line.restart()

    def reset(self) -> None:
        """Open; a gripper in a fault is cleared and activated first."""
        self.activate()
        self._line.target = _OPEN

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

    def _normalised(self, raw: int) -> float:
        """0 closed to 1 open."""
        low, high = self._options.raw_open, self._options.raw_closed
        return min(1.0, max(0.0, (high - raw) / (high - low)))

    def _raw(self, position: float) -> int:
        if position in (0.0, 1.0):
            return _OPEN if position else _CLOSED
        low, high = self._options.raw_open, self._options.raw_closed
        return round(high + position * (low - high))


class _Line(Source[Reading]):
    """The gripper as its thread sees it: each poll writes what has changed and reads the status.

    `target` and the wish to restart are single attributes that the caller sets and the thread reads: the newest wins.
    """

    def __init__(self, config: RobotiqConfig, context: CellContext) -> None:
        self._options = config
        self._now_s = context.clock.now_s
        self._link = ModbusLink(config.transport, config.address, config.port, config.device_id, config.timeout_s)
        self.forget()

    def forget(self) -> None:
        """Start without a target, as before the first connection."""
        self.target: int | None = None
        self._wants_restart = False
        self._phase: Phase = "idle"
        self._deadline_s = 0.0
        self._written: Outputs | None = None

    @property
    def is_busy(self) -> bool:
        """True from `restart()` until the gripper is ready or the deadline has passed."""
        return self._wants_restart or self._phase in BUSY

    def restart(self) -> None:
        """Have the gripper cleared and activated."""
        self.target = None
        self._wants_restart = True

    def open(self) -> None:
        # What was asked before the connection broke must not start a motion when it comes back.
        self.target, self._written = None, None
        self._wants_restart, self._phase = False, "idle"
        self._link.open()

    def close(self) -> None:
        self._link.close()

    def poll(self) -> Reading:
        if self._wants_restart:
            self._phase, self._deadline_s = "clearing", self._now_s() + self._options.activation_timeout_s
            self._wants_restart = False
        outputs = self._outputs()
        if outputs is not None and outputs != self._written:
            self._link.write(outputs.registers())
            self._written = outputs
        inputs = Inputs.from_registers(self._link.read())
        self._advance(inputs)
        return Reading(self._now_s(), inputs, self._phase)

    def _outputs(self) -> Outputs | None:
        """What to tell the gripper now; None leaves it as it is."""
        speed, force = self._options.speed, self._options.force
        if self._phase == "clearing":
            return Outputs()
        if self._phase == "activating":
            return Outputs(is_activated=True, speed=speed, force=force)
        if self._phase == "failed" or self.target is None:
            return None
        return Outputs(is_activated=True, goes_to=True, position=self.target, speed=speed, force=force)

    def _advance(self, inputs: Inputs) -> None:
        """Clearing ends when the gripper reports the reset, activating when it is ready."""
        if self._phase == "clearing" and inputs.activation == 0:
            self._phase = "activating"
        elif self._phase == "activating" and inputs.is_ready:
            self._phase = "idle"
        elif self._phase in BUSY and self._now_s() > self._deadline_s:
            self._phase = "failed"
