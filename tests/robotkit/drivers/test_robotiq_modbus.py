"""Registers over Modbus, with a client that the test plays: where they are, and what becomes of each trouble."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pymodbus import FramerType, ModbusException
from pymodbus.constants import ExcCodes

import robotkit as rk
from robotkit.drivers import robotiq_modbus
from robotkit.drivers.robotiq_modbus import LineBusy, ModbusLink


class Client:
    """Plays pymodbus' clients; `answers` are given one after the other, the last one again and again."""

    def __init__(self, *arguments: object, **options: object) -> None:
        self.arguments, self.options = arguments, options
        self.is_there, self.closed = True, 0
        self.calls: list[tuple[object, ...]] = []
        self.answers: list[Any] = [reply(1, 2, 3)]

    def connect(self) -> bool:
        return self.is_there

    def close(self) -> None:
        self.closed += 1

    def __getattr__(self, function: str) -> Any:
        def ask(address: int, *values: object, **options: object) -> Any:
            self.calls.append((function, address, *values, options))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return ask


def reply(*registers: int) -> SimpleNamespace:
    return SimpleNamespace(registers=list(registers), isError=lambda: False)


def refusal(code: int) -> SimpleNamespace:
    return SimpleNamespace(exception_code=code, isError=lambda: True)


@pytest.fixture
def clock(monkeypatch):
    """Time that only pauses advance."""
    now = SimpleNamespace(s=10.0, pauses=0)

    def sleep(seconds: float) -> None:
        assert 0.0 < seconds <= 0.01
        now.s, now.pauses = now.s + seconds, now.pauses + 1

    monkeypatch.setattr(robotiq_modbus, "time", SimpleNamespace(monotonic=lambda: now.s, sleep=sleep))
    return now


@pytest.fixture(params=["tcp", "rtu", "rtu-over-tcp"])
def transport(request):
    return request.param


@pytest.fixture
def link(transport, monkeypatch, clock):
    monkeypatch.setattr(robotiq_modbus, "ModbusTcpClient", Client)
    monkeypatch.setattr(robotiq_modbus, "ModbusSerialClient", Client)
    return ModbusLink(transport, "there", 502, 9, 0.2)


def test_the_client_speaks_robotiqs_serial_line_or_tcp_and_never_repeats_by_itself(link, transport):
    """115200 baud, 8 data bits, no parity, 1 stop bit."""
    link.open()
    client = link._client
    assert client.arguments == ("there",)
    serial = {"baudrate": 115200, "parity": "N", "stopbits": 1, "bytesize": 8, "framer": FramerType.RTU}
    framer = {"tcp": FramerType.SOCKET, "rtu-over-tcp": FramerType.RTU}.get(transport)
    expected = serial if transport == "rtu" else {"port": 502, "framer": framer}
    assert client.options == expected | {"timeout": 0.2, "retries": 0}


def test_three_registers_are_written_and_read_where_the_gripper_keeps_them(link, transport):
    link.open()
    link.write((7, 8, 9))
    assert link.read() == [1, 2, 3]
    written, read = link._client.calls
    base = 0 if transport == "tcp" else 0x03E8
    assert written == ("write_registers", base, [7, 8, 9], {"device_id": 9})
    function, base = ("read_input_registers", 0) if transport == "tcp" else ("read_holding_registers", 0x07D0)
    assert read == (function, base, {"device_id": 9, "count": 3})


def test_nobody_there_is_told_with_the_place(link, transport, monkeypatch):
    monkeypatch.setattr(Client, "connect", lambda client: False)
    place = "there" if transport == "rtu" else "there:502"
    with pytest.raises(rk.ConnectionFailed, match=rf"at {place} \({transport}\); check power"):
        link.open()


@pytest.mark.parametrize("code", [ExcCodes.DEVICE_BUSY, ExcCodes.ACKNOWLEDGE])
def test_f3_a_busy_gripper_is_read_again_until_the_time_of_one_answer_has_passed(link, clock, code):
    link.open()
    link._client.answers = [refusal(code), refusal(code), reply(4, 5, 6)]
    assert link.read() == [4, 5, 6]
    assert clock.pauses == 2
    link._client.answers = [refusal(code)]
    start_s = clock.s
    with pytest.raises(LineBusy):
        link.read()
    assert 0.2 < clock.s - start_s < 0.22
    with pytest.raises(LineBusy):
        link.write((7, 8, 9))


@pytest.mark.parametrize("trouble", [ModbusException("no response"), OSError("gone"), refusal(2)])
def test_every_other_trouble_is_an_error_at_once(link, clock, trouble):
    link.open()
    link._client.answers = [trouble]
    for call in (link.read, lambda: link.write((7, 8, 9))):
        with pytest.raises(rk.DeviceError, match=r"the gripper (did not answer|refused)") as caught:
            call()
        assert not isinstance(caught.value, LineBusy)
    assert clock.pauses == 0


def test_a_line_is_closed_once_and_one_that_is_gone_too(link, monkeypatch):
    link.close()
    link.open()
    client = link._client
    link.close()
    link.close()
    assert client.closed == 1
    link.open()
    monkeypatch.setattr(Client, "close", lambda client: (_ for _ in ()).throw(OSError("gone")))
    link.close()
    assert link._client is None
