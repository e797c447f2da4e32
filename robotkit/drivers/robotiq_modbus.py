"""`ModbusLink`: a Robotiq gripper's registers over Modbus TCP, RTU, or RTU inside TCP."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from typing import Literal

from pymodbus import FramerType, ModbusException
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.pdu import ModbusPDU

from robotkit.errors import ConnectionFailed, DeviceError

_TRY_AGAIN = (ExcCodes.ACKNOWLEDGE, ExcCodes.DEVICE_BUSY)
"""Exceptions of a gripper that works on something else (Modbus application protocol 1.1b3, section 7)."""
_BUSY_PAUSE_S = 0.005

Transport = Literal["tcp", "rtu", "rtu-over-tcp"]

_COUNT = 3
_TCP_BASE = 0
_RTU_OUTPUT_BASE, _RTU_INPUT_BASE = 0x03E8, 0x07D0


class LineBusy(DeviceError):
    """The gripper works on something else and did not take the request; it may be asked again."""


class ModbusLink:
    """Writes the output registers and reads the input registers.

    The gripper's own Modbus TCP server keeps both at address 0 and is read with function 4; the serial gripper, also
    behind a converter to TCP, keeps them at 0x03E8 and 0x07D0 and is read with function 3 (ros-industrial/robotiq,
    `comModbusTcp.py` and `comModbusRtu.py`).

    Args:
        transport: how the registers travel.
        address: a host name for TCP, a serial port for RTU.
        port: TCP port.
        device_id: Modbus unit.
        timeout_s: how long one answer may take.
    """

    def __init__(self, transport: Transport, address: str, port: int, device_id: int, timeout_s: float) -> None:
        self._transport = transport
        self._address, self._port = address, port
        self._device_id = device_id
        self._timeout_s = timeout_s
        self._client: ModbusTcpClient | ModbusSerialClient | None = None
        # pymodbus prints its last packets at every failure; what failed is in our errors already.
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

    def open(self) -> None:
        """Connect.

        Raises:
            ConnectionFailed: nobody answers at that address.
        """
        self._client = self._new_client()
        if not self._client.connect():
            place = self._address if self._transport == "rtu" else f"{self._address}:{self._port}"
            raise ConnectionFailed(
                f"no Robotiq gripper at {place} ({self._transport}); check power, cable and address, and that no other "
                "program holds the connection"
            )

    def close(self) -> None:
        """Close the connection, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(OSError):  # a port that is gone cannot be closed properly
                client.close()

    def write(self, registers: Sequence[int]) -> None:
        """Write the output registers.

        Raises:
            LineBusy: the gripper did not take them now.
            DeviceError: no answer in time, or a refusal.
        """
        base = _TCP_BASE if self._transport == "tcp" else _RTU_OUTPUT_BASE
        self._ask("write_registers", base, list(registers))

    def read(self) -> list[int]:
        """Read the input registers; a busy gripper is asked again.

        Raises:
            DeviceError: no answer in time, a refusal, or busy for longer than one answer may take.
        """
        until_s = time.monotonic() + self._timeout_s
        while True:
            try:
                if self._transport == "tcp":
                    return self._registers("read_input_registers", _TCP_BASE)
                return self._registers("read_holding_registers", _RTU_INPUT_BASE)
            except LineBusy:
                if time.monotonic() > until_s:
                    raise
                time.sleep(_BUSY_PAUSE_S)

    def _registers(self, function: str, base: int) -> list[int]:
        registers: list[int] = self._ask(function, base, count=_COUNT).registers
        return registers

    def _ask(self, function: str, *arguments: object, **named: object) -> ModbusPDU:
        try:
            reply: ModbusPDU = getattr(self._client, function)(*arguments, device_id=self._device_id, **named)
        except (ModbusException, OSError) as error:
            raise DeviceError(f"the gripper did not answer {function}: {error}") from error
        if reply.isError():
            kind = LineBusy if reply.exception_code in _TRY_AGAIN else DeviceError
            raise kind(f"the gripper refused {function}: {reply}")
        return reply

    def _new_client(self) -> ModbusTcpClient | ModbusSerialClient:
        if self._transport == "rtu":
            return ModbusSerialClient(
                self._address, framer=FramerType.RTU, baudrate=115200, parity="N", stopbits=1, bytesize=8,
                timeout=self._timeout_s, retries=0,
            )  # fmt: skip
        framer = FramerType.SOCKET if self._transport == "tcp" else FramerType.RTU
        return ModbusTcpClient(self._address, port=self._port, framer=framer, timeout=self._timeout_s, retries=0)
