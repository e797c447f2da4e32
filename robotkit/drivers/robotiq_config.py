"""`RobotiqConfig`: the options of a Robotiq 2F gripper."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from robotkit.drivers.ranges import WIDTH_MAX_M
from robotkit.drivers.robotiq_modbus import Transport
from robotkit.schema import PluginConfig


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
    max_age_s: float = Field(0.5, gt=0.0, le=60.0)
    """Time without a status after which `get_state` and `move` raise StaleState."""
    command_timeout_s: float = Field(1.0, gt=0.0, le=10.0)
    """How long an accepted target is sent, over a lost connection too, until the gripper confirms it; an older one is
    never sent, and `get_state` raises DeviceFault until the next command."""
    activation_timeout_s: float = Field(8.0, gt=0.0, le=60.0)
    """How long clearing and activating may take together; the fingers travel to both ends meanwhile."""
    activate_on_connect: bool = True
    """Activate a gripper that is not ready when it is connected: its fingers move."""
    speed: int = Field(255, ge=0, le=255)
    force: int = Field(150, ge=0, le=255)
    width_max_m: float = Field(0.085, gt=0.0, le=WIDTH_MAX_M)
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
