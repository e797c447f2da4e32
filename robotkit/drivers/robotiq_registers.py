"""The registers of a Robotiq 2F gripper: three to write, three to read, and the faults in words.

Source: the register tables of the 2F-85/2F-140 instruction manual; the same bytes travel over every transport.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

OPEN, CLOSED = 0, 255
"""Positions that press all the way to the ends."""
ACTIVATE, GO_TO = 0x01, 0x08
ACTIVATED = 3
"""Activation status (gSTA) of a gripper that is ready."""

FAULTS: dict[int, str] = {
    0x05: "the command waits until activation has finished",
    0x07: "the gripper has to be activated before it can move",
    0x08: "the gripper is too hot (85 °C or more inside); let it cool down",
    0x09: "the gripper heard nothing from its master for a second",
    0x0A: "the supply voltage is too low; check the 24 V supply",
    0x0B: "an automatic release is in progress",
    0x0C: "internal fault; contact Robotiq's support",
    0x0D: "activation failed; look for something that blocks the fingers",
    0x0E: "the motor current was too high",
    0x0F: "an automatic release has ended",
}
FIRST_REAL_FAULT = 0x08
"""Lower codes only say that activation is due or not finished."""


@dataclass(frozen=True)
class Outputs:
    """The registers that are written; the default deactivates the gripper, which also clears its faults."""

    is_activated: bool = False
    goes_to: bool = False
    position: int = 0
    """0 open to 255 closed (rPR)."""
    speed: int = 255
    force: int = 150

    def registers(self) -> list[int]:
        """The three output registers."""
        action = ACTIVATE * self.is_activated | GO_TO * self.goes_to
        return [action << 8, self.position, self.speed << 8 | self.force]


@dataclass(frozen=True)
class Inputs:
    """The registers that the gripper reports."""

    is_activated: bool
    """The activation bit as it was written (gACT)."""
    goes_to: bool
    """The fingers are under way, or hold what they were told (gGTO)."""
    activation: int
    """0 reset, 1 activating, 3 activated (gSTA)."""
    contact: int
    """0 moving, 1 stopped while opening, 2 stopped while closing, 3 arrived (gOBJ)."""
    fault: int
    """0, or a key of `FAULTS` (gFLT)."""
    requested_position: int
    """Echo of the position that was asked for (gPR)."""
    position: int
    """Measured, 0 open to 255 closed; the mechanics reach about 3 to 230 (gPO)."""
    current_ma: int

    @classmethod
    def from_registers(cls, registers: Sequence[int]) -> Inputs:
        """Decode the three input registers."""
        status, fault, motion = registers
        status >>= 8
        return cls(
            is_activated=bool(status & ACTIVATE),
            goes_to=bool(status & GO_TO),
            activation=status >> 4 & 3,
            contact=status >> 6 & 3,
            fault=fault >> 8 & 0x0F,
            requested_position=fault & 0xFF,
            position=motion >> 8,
            current_ma=10 * (motion & 0xFF),
        )

    @property
    def is_ready(self) -> bool:
        """Activated, and free of faults that need a reset."""
        return self.is_activated and self.activation == ACTIVATED and self.fault < FIRST_REAL_FAULT

    @property
    def is_holding(self) -> bool:
        """Stopped on something on the way to the requested position; gOBJ may still tell of the way before."""
        is_closing_stopped = self.contact == 2 and self.requested_position >= self.position
        return is_closing_stopped or (self.contact == 1 and self.requested_position <= self.position)

    def confirms(self, outputs: Outputs) -> bool:
        """True when the gripper echoes these outputs as far as it echoes any: gACT, gGTO and gPR."""
        echo = (self.is_activated, self.goes_to, self.requested_position)
        return echo == (outputs.is_activated, outputs.goes_to, outputs.position)


def fault_text(fault: int) -> str:
    """A fault code in words."""
    return f"fault 0x{fault:02X}, {FAULTS.get(fault, 'which the manual does not list')}"
