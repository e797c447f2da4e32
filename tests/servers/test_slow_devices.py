"""A device whose measurement takes its time is read; one whose measurement takes too long is reported until it ends."""

from __future__ import annotations

import asyncio
import threading

import pytest

import robotkit as rk
from servers import reads
from servers.lanes import Lanes
from servers.reads import Reads


class Device:
    """Each measurement is its number, when the test lets it be."""

    def __init__(self) -> None:
        self.begun, self.may_end, self.count = threading.Semaphore(0), threading.Semaphore(0), 0

    def measure(self) -> int:
        self.count += 1
        number = self.count
        self.begun.release()
        assert self.may_end.acquire(timeout=20.0)
        return number

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, timeout=20.0)


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "DEVICE_S", 1000.0)
    monkeypatch.setattr(reads, "_POLL_PERIOD_S", 0.001)


def test_b6_a_measurement_that_waits_for_another_has_its_own_time() -> None:
    async def run() -> list[int]:
        device, lanes = Device(), Lanes()
        reading = Reads(rk.make_workcell("fake", clock="real"), lanes)
        first = asyncio.create_task(reading.device("tracker", device.measure))
        await device.has_begun()
        lanes.devices._since_s[(device.measure,)] -= 990.0
        second = asyncio.create_task(reading.device("tracker", device.measure))
        await asyncio.sleep(0)
        device.may_end.release()
        await device.has_begun()
        assert lanes.devices.running_for_s(device.measure) < 900.0
        lanes.devices._since_s[(device.measure,)] -= 100.0
        device.may_end.release()
        return [await first, await second]

    assert asyncio.run(run()) == [1, 2]


def test_b6_a_measurement_that_takes_too_long_is_reported_to_all_who_ask_until_it_ends() -> None:
    async def run() -> int:
        device, lanes = Device(), Lanes()
        reading = Reads(rk.make_workcell("fake", clock="real"), lanes)
        asked = [asyncio.create_task(reading.device("tracker", device.measure))]
        await device.has_begun()
        lanes.devices._since_s[(device.measure,)] -= 2000.0
        asked += [asyncio.create_task(reading.device("tracker", device.measure)) for _ in range(3)]
        for error in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(error, rk.DeviceFault)
            assert "tracker has not answered within 1000 s" in str(error)
        for _ in range(3):
            device.may_end.release()
        return await reading.device("tracker", device.measure)

    assert asyncio.run(run()) >= 2
