"""When a stream measures, on a time of its own: on absolute ticks, and never in a burst."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import SimpleNamespace

import pytest

import robotkit as rk
from servers import streaming
from servers.streaming import StateStream

PERIOD_S = 0.1


class _Ended(Exception):
    """The time of the test is over."""


class _Time:
    """Passes while something sleeps or is measured."""

    def __init__(self, costs_s: list[float]) -> None:
        self.now_s = 50.0
        self.costs_s = costs_s
        self.measured_s: list[float] = []
        self.reported_s: list[float] = []
        self.error: Exception | None = None

    def time(self) -> float:
        return self.now_s

    async def sleep(self, period_s: float) -> None:
        assert period_s >= 0.0
        self.now_s += period_s

    async def cell(self) -> SimpleNamespace:
        if not self.costs_s:
            raise asyncio.CancelledError
        self.measured_s.append(round(self.now_s - 50.0, 6))
        self.now_s += self.costs_s.pop(0)
        if self.error is not None:
            raise self.error
        return SimpleNamespace(model_dump_json=lambda: "{}")

    async def send_text(self, text: str) -> None:
        if '"error"' in text:
            self.reported_s.append(round(self.now_s - 50.0, 6))


def _publish(monkeypatch: pytest.MonkeyPatch, *costs_s: float, error: Exception | None = None) -> _Time:
    """Let a stream publish, when measuring takes these times one after the other."""
    time = _Time(list(costs_s))
    time.error = error
    fake = SimpleNamespace(get_running_loop=lambda: time, sleep=time.sleep, Event=asyncio.Event)
    monkeypatch.setattr(streaming, "asyncio", fake)
    socket = SimpleNamespace(headers={}, scope={}, send_text=time.send_text)
    context = SimpleNamespace(reads=time)
    stream = StateStream(socket, context, object(), 1.0 / PERIOD_S, 0)
    publish: Awaitable[None] = stream._publish()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(publish)
    return time


def test_what_measuring_costs_does_not_slow_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    time = _publish(monkeypatch, 0.01, 0.03, 0.0, 0.09, 0.01)
    assert time.measured_s == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_a_little_lateness_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    time = _publish(monkeypatch, 0.15, 0.01, 0.01)
    assert time.measured_s == pytest.approx([0.0, 0.15, 0.2])


def test_after_a_long_delay_nothing_comes_in_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    time = _publish(monkeypatch, 0.95, 0.01, 0.01, 0.01)
    assert time.measured_s == pytest.approx([0.0, 0.95, 1.05, 1.15])


def test_what_cannot_be_measured_is_said_ten_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_PAUSE_AFTER_FAULT_S", 0.5)
    time = _publish(monkeypatch, 0.0, 0.0, 0.0, error=rk.NotConnected("unplugged"))
    assert time.reported_s == time.measured_s == pytest.approx([0.0, 0.5, 1.0])
