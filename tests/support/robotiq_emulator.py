"""A Robotiq 2F-85 on loopback: its registers, its dynamics and an object between its fingers, on three transports."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import socket
import threading
import time
import tty
from typing import Self

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

RTU_OUT, RTU_IN = 0x03E8, 0x07D0
UNIT = 9
MM_PER_COUNT = 0.39
RAW_OPEN, RAW_CLOSED = 3.0, 230.0
PATIENT = {"timeout_s": 0.5, "max_age_s": 30.0, "command_timeout_s": 10.0}
"""Options of a driver whose deadlines a busy machine does not reach."""


class GripperModel:
    """Registers and dynamics, advanced to the wall's time by each access. Counts: 0 open to 255 closed.

    With `sample_s` the controller sees what was written to it only every so many seconds. It echoes what it has seen,
    or `echoes_at_once`.
    """

    def __init__(
        self,
        object_mm: float | None = None,
        activation_s: float = 0.1,
        speed_mm_s: float = 150.0,
        sample_s: float = 0.0,
        echoes_at_once: bool = False,
    ) -> None:
        self.object_mm = object_mm
        self.sample_s = sample_s
        self.echoes_at_once = echoes_at_once
        self.speed_mm_s = speed_mm_s
        self.activation_s = activation_s
        self.blocked = False
        """Something keeps the fingers from finishing their activation."""
        self.power_cycle()

    def power_cycle(self) -> None:
        """Forget everything, as after the supply failed; the fingers stay where they are."""
        self.received = [0, 0, 0]
        self.outputs = [0, 0, 0]
        self.is_tripped = False
        self.position = getattr(self, "position", RAW_OPEN)
        self.activation = self.contact = self.fault = self.current = 0
        self.activated_s = 0.0
        self.time_s = time.monotonic()
        self.writes = 0

    def emergency_stop(self) -> None:
        """Drop out of the activation: only a controller that has seen rACT = 0 can be activated again."""
        self.advance()
        self.is_tripped, self.activation, self.contact, self.current = True, 0, 0, 0

    def write(self, offset: int, values: list[int]) -> None:
        """What any master writes."""
        self.advance()
        self.received[offset : offset + len(values)] = values
        self.writes += 1
        self.advance()

    def inputs(self) -> list[int]:
        self.advance()
        echo = self.received if self.echoes_at_once else self.outputs
        status = echo[0] >> 8 & 0x09 | self.activation << 4 | self.contact << 6
        return [status << 8, self.fault << 8 | echo[1] & 0xFF, round(self.position) << 8 | self.current]

    def advance(self) -> None:
        now_s = time.monotonic()
        passed_s, before_s, self.time_s = now_s - self.time_s, self.time_s, now_s
        if not self.sample_s or now_s // self.sample_s != before_s // self.sample_s:
            self.outputs = list(self.received)
        is_activated, goes_to = bool(self.outputs[0] >> 8 & 1), bool(self.outputs[0] >> 8 & 8)
        if not is_activated:
            self.activation = self.contact = self.current = 0
            self.fault = 0x07 if goes_to else 0
            self.is_tripped = False
        elif self.is_tripped:
            return
        elif self.activation != 3:
            self._activate(now_s, goes_to)
        elif goes_to:
            self._go(passed_s)

    def _activate(self, now_s: float, goes_to: bool) -> None:
        """Close, then open."""
        if self.activation == 0:
            self.activation, self.activated_s = 1, now_s
        phase = min(1.0, (now_s - self.activated_s) / self.activation_s)
        if self.blocked:
            self.fault = 0x0D if phase == 1.0 else 0
            return
        self.position = RAW_OPEN + (RAW_CLOSED - RAW_OPEN) * (1.0 - abs(1.0 - 2.0 * phase))
        self.fault = 0x05 if goes_to and phase < 1.0 else 0
        if phase == 1.0:
            self.activation, self.contact = 3, 3

    def _go(self, passed_s: float) -> None:
        speed, force = self.outputs[2] >> 8, self.outputs[2] & 0xFF
        goal = min(max(float(self.outputs[1] & 0xFF), RAW_OPEN), RAW_CLOSED)
        step = self.speed_mm_s * (0.13 + 0.87 * speed / 255.0) / MM_PER_COUNT * passed_s
        way = goal - self.position
        stop = RAW_CLOSED if self.object_mm is None else RAW_CLOSED - self.object_mm / MM_PER_COUNT
        if way > 0.0 and goal > stop and self.position <= stop and self.position + min(step, way) >= stop:
            self.position, self.contact, self.current = stop, 2, 5 + force // 8
        elif abs(way) <= step:
            self.position, self.contact, self.current = goal, 3, 0
        else:
            self.position += step if way > 0.0 else -step
            self.contact, self.current = 0, 8 + speed // 20


class RobotiqEmulator:
    """Serves a `GripperModel` in a thread, in a `with` block.

    `unplug` and `plug` take the server away and bring it back, `is_frozen` keeps it from answering. So many of the next
    reads or writes are answered "busy" (`busy_reads`, `busy_writes`), or are lost without an answer (`lost_writes`,
    over TCP).
    """

    def __init__(self, transport: str = "tcp", **model: float) -> None:
        self.model = GripperModel(**model)
        self.transport = transport
        self.is_frozen = False
        self.busy_reads = self.busy_writes = self.lost_writes = 0
        self.port = _free_port()
        self.address = "127.0.0.1"
        self._server_end = ""
        self._cable: SerialCable | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def options(self) -> dict[str, object]:
        """How the driver finds it."""
        return {"transport": self.transport, "address": self.address, "port": self.port}

    def plug(self) -> None:
        """Start to serve; returns when the server listens."""
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(10.0), "the emulator does not start"

    def unplug(self) -> None:
        """Close the server and every connection."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._loop.call_soon_threadsafe(self._gone.set)
            thread.join(10.0)
            assert not thread.is_alive()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._gone = asyncio.get_running_loop(), asyncio.Event()
        server = self._server()
        await server.serve_forever(background=True)
        ready.set()
        await self._gone.wait()
        await server.shutdown()

    def _server(self) -> ModbusTcpServer | ModbusSerialServer:
        if self.transport == "rtu":
            return ModbusSerialServer(
                self._device(), framer=FramerType.RTU, port=self._server_end, baudrate=115200, timeout=1
            )
        framer = FramerType.SOCKET if self.transport == "tcp" else FramerType.RTU
        return ModbusTcpServer(self._device(), framer=framer, address=(self.address, self.port))

    def _device(self) -> SimDevice:
        def block(base: int) -> SimData:
            return SimData(base, values=[0, 0, 0], datatype=DataType.REGISTERS)

        bits = [SimData(0, count=1, values=False, datatype=DataType.BITS)]
        if self.transport == "tcp":
            return SimDevice(0, simdata=(bits, bits, [block(0)], [block(0)]), action=self._act)
        return SimDevice(UNIT, simdata=(bits, bits, [block(RTU_OUT), block(RTU_IN)], [block(RTU_IN)]), action=self._act)

    async def _act(
        self, function: int, start: int, address: int, count: int, registers: list, values: list
    ) -> ExcCodes | None:
        while self.is_frozen:
            await asyncio.sleep(0.01)
        if values is not None:
            return await self._write(address - (0 if self.transport == "tcp" else RTU_OUT), list(values))
        if self.busy_reads:
            self.busy_reads -= 1
            return ExcCodes.DEVICE_BUSY
        if function == 4 or address >= RTU_IN:
            at = address - start
            registers[at : at + count] = self.model.inputs()[:count]
        return None

    async def _write(self, offset: int, values: list[int]) -> ExcCodes | None:
        if self.lost_writes:
            self.lost_writes -= 1
            await self._gone.wait()
            return ExcCodes.DEVICE_FAILURE
        if self.busy_writes:
            self.busy_writes -= 1
            return ExcCodes.DEVICE_BUSY
        self.model.write(offset, values)
        return None

    def __enter__(self) -> Self:
        if self.transport == "rtu":
            self._cable = SerialCable()
            self._server_end, self.address = self._cable.ends
        self.plug()
        return self

    def __exit__(self, *error: object) -> None:
        self.is_frozen = False
        self.unplug()
        if self._cable is not None:
            self._cable.close()


class SerialCable:
    """Two pseudo terminals with a thread between them: what goes in at one end comes out at the other."""

    def __init__(self) -> None:
        (self._near, near_end), (self._far, far_end) = pty.openpty(), pty.openpty()
        self._held = (self._near, self._far, near_end, far_end)
        for descriptor in self._held:
            tty.setraw(descriptor)
        self.ends = os.ttyname(near_end), os.ttyname(far_end)
        self._is_open = True
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def _carry(self) -> None:
        other = {self._near: self._far, self._far: self._near}
        while self._is_open:
            for descriptor in select.select(list(other), [], [], 0.05)[0]:
                os.write(other[descriptor], os.read(descriptor, 4096))

    def close(self) -> None:
        self._is_open = False
        self._thread.join(5.0)
        for descriptor in self._held:
            os.close(descriptor)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
