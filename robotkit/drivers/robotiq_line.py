"""`RobotiqLine`: carries targets and activations to a Robotiq gripper until its status confirms them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from robotkit.drivers.polling import Source
from robotkit.drivers.robotiq_config import RobotiqConfig
from robotkit.drivers.robotiq_modbus import LineBusy, ModbusLink
from robotkit.drivers.robotiq_registers import OPEN, Inputs, Outputs

Phase = Literal["idle", "clearing", "activating", "failed"]
BUSY: tuple[Phase, ...] = ("clearing", "activating")
_CLEARED_S = 0.1
"""A controller between line and gripper may echo at once, and look at its registers only every 50 ms."""


@dataclass(frozen=True)
class Target:
    """An accepted position: it is sent until the gripper confirms it, or until `until_s`."""

    number: int
    """Counts the accepted targets from 1."""
    raw: int
    """Position register, 0 open to 255 closed."""
    until_s: float


@dataclass(frozen=True)
class Reading:
    """One status of the gripper, and how far the line was then."""

    stamp_s: float
    inputs: Inputs
    phase: Phase
    settled: int
    """Number of the newest target that was confirmed or given up."""


class RobotiqLine(Source[Reading]):
    """The gripper's line, for its thread. The gripper's motion is read from its status, never remembered.

    Callers leave a target or a restart; both survive a lost connection. Each poll reads the status first, so that a
    target is written only to a gripper that is ready.

    Args:
        config: how the gripper is reached, and the deadlines.
        now_s: tells the time of the cell's clock, for the stamps; deadlines are the wall's.
    """

    def __init__(self, config: RobotiqConfig, now_s: Callable[[], float]) -> None:
        self._options = config
        self._now_s = now_s
        self._link = ModbusLink(config.transport, config.address, config.port, config.device_id, config.timeout_s)
        self._changed = threading.Condition()
        self.forget()

    def forget(self) -> None:
        """Start without a target, as before the first connection."""
        with self._changed:
            self._target = Target(number=0, raw=OPEN, until_s=0.0)
            self._settled = 0
            self._lost: str | None = None
            self._phase: Phase = "idle"
            self._phase_until_s = 0.0
            self._cleared_s: float | None = None
            self._written: Outputs | None = None

    @property
    def target(self) -> Target:
        """The newest accepted target."""
        return self._target

    @property
    def is_busy(self) -> bool:
        """True from `restart()` until the gripper is ready or the deadline has passed."""
        return self._phase in BUSY

    @property
    def lost(self) -> str | None:
        """Why the newest target was given up; None when it was not."""
        return self._lost

    def go_to(self, raw: int) -> None:
        """Accept a target; during an activation it is sent after it."""
        with self._changed:
            self._accept(raw)

    def restart(self, raw: int | None = None) -> None:
        """Have the gripper cleared and activated, and sent to `raw` after that."""
        with self._changed:
            self._lost = None
            self._give_up("the gripper was activated again before")
            self._phase, self._phase_until_s = "clearing", time.monotonic() + self._options.activation_timeout_s
            self._cleared_s = None
            if raw is not None:
                self._accept(raw)

    def wait_until_settled(self, timeout_s: float) -> bool:
        """Wait until the newest target is confirmed or given up; False when it still is neither."""
        with self._changed:
            return self._changed.wait_for(lambda: self._settled == self._target.number, timeout_s)

    def open(self) -> None:
        """Connect; what another connection wrote counts as unknown."""
        self._written = None
        self._link.open()

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def poll(self) -> Reading:
        """Carry on with an activation or a target, and return the newest status."""
        self._expire()
        prepared = self._preparing()
        if prepared is not None and prepared != self._written:
            self._try_to_write(prepared)
        inputs = self._read()
        self._advance(inputs)
        inputs = self._pursue(inputs)
        return Reading(self._now_s(), inputs, self._phase, self._settled)

    def _preparing(self) -> Outputs | None:
        """Return the outputs that clear or activate the gripper; None when neither is due."""
        match self._phase:
            case "clearing":
                return Outputs()
            case "activating":
                return Outputs(is_activated=True, speed=self._options.speed, force=self._options.force)
            case _:
                return None

    def _advance(self, inputs: Inputs) -> None:
        """Clearing ends when the gripper has seen it (a controller may look every 50 ms), activating when it is ready.

        Until then the gripper would miss that it was cleared (ros-industrial/robotiq, issue 202).
        """
        with self._changed:
            now_s = time.monotonic()
            if self._phase == "clearing":
                if inputs.is_activated or inputs.activation != 0:
                    self._cleared_s = None
                elif self._cleared_s is None:
                    self._cleared_s = now_s
                elif now_s - self._cleared_s > _CLEARED_S:
                    self._phase = "activating"
            elif self._phase == "activating" and inputs.is_ready:
                self._phase = "idle"
                self._target = replace(self._target, until_s=now_s + self._options.command_timeout_s)

    def _pursue(self, inputs: Inputs) -> Inputs:
        """Send the newest target unless the status confirms it already; returns the newest status."""
        target = self._target
        if self._settled == target.number or self.is_busy:
            return inputs
        speed, force = self._options.speed, self._options.force
        wanted = Outputs(is_activated=True, goes_to=True, position=target.raw, speed=speed, force=force)
        if inputs.is_ready and not (self._written == wanted and inputs.confirms(wanted)):
            if self.stopping.is_set():
                return inputs
            self._try_to_write(wanted)
            inputs = self._read()
        with self._changed:
            if target is self._target and not self.is_busy:
                if not inputs.is_ready:
                    self._give_up("the gripper was not ready any more")
                elif self._written == wanted and inputs.confirms(wanted):
                    self._settle()
        return inputs

    def _expire(self) -> None:
        """End what has taken longer than its deadline."""
        with self._changed:
            now_s = time.monotonic()
            if self.is_busy and now_s > self._phase_until_s:
                self._phase = "failed"
                self._give_up("the gripper did not become ready")
            elif not self.is_busy and now_s > self._target.until_s:
                self._give_up(f"the gripper did not confirm it within {self._options.command_timeout_s:g} s")

    def _accept(self, raw: int) -> None:
        number, until_s = self._target.number + 1, time.monotonic() + self._options.command_timeout_s
        self._target, self._lost = Target(number, raw, until_s), None

    def _give_up(self, why: str) -> None:
        """Lose the newest target, if it is still under way."""
        if self._settled != self._target.number:
            self._lost = why
            self._settle()

    def _settle(self) -> None:
        self._settled = self._target.number
        self._changed.notify_all()

    def _try_to_write(self, outputs: Outputs) -> None:
        """Write, unless the gripper is busy: then the next poll tries again, until the deadline."""
        with contextlib.suppress(LineBusy):
            self._link.write(outputs.registers())
            self._written = outputs

    def _read(self) -> Inputs:
        return Inputs.from_registers(self._link.read())
