"""`end_within` and the end of a server in a process that may start no more threads."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace

import httpx
import pytest

import robotkit as rk
from servers import ServerSettings, create_app, ending
from servers.runner import BackgroundServer, CellServer
from tests.support.interruption import Interruption, interrupted
from tests.support.waiting import wait_until

SLOW = {"clock": "real", "robot.joint_speed_rad_s": 0.01}
FAR = {"joint_positions_rad": [0.75, 0.0, 0.3, 3.14159265, 0.0, 0.0, 0.0]}


def _refuse(*_: object) -> None:
    raise RuntimeError("can't start new thread")


def _fail(*_: object) -> None:
    raise OSError("no space left")


@pytest.fixture
def ends_s(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """After how many seconds this process would be ended."""
    told_s: list[float] = []

    def note(limits_s: SimpleQueue[float]) -> None:
        while True:
            told_s.append(limits_s.get())

    ending._limits_s.cache_clear()
    monkeypatch.setattr(ending, "_wait_and_leave", note)
    yield told_s
    ending._limits_s.cache_clear()


def test_f9_a_signal_ends_a_process_that_can_start_no_thread(
    ends_s: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(rk.make_workcell("fake", clock="real"), ServerSettings(port=0))
    server = CellServer(app, exit_s=5.0)
    monkeypatch.setattr(threading.Thread, "start", _refuse)
    server.handle_exit(signal.SIGTERM, None)
    assert server.should_exit
    assert app.state.context.turns.is_closed
    wait_until(lambda: ends_s == [5.0], 20.0)


@pytest.mark.parametrize("drain", [lambda _: None, _fail])
def test_f9_a_process_is_ended_with_a_failure_after_the_time_that_was_given(
    monkeypatch: pytest.MonkeyPatch, drain: Callable[[float], None]
) -> None:
    slept_s: list[float] = []
    statuses: list[int] = []
    monkeypatch.setattr(ending, "time", SimpleNamespace(sleep=slept_s.append))
    monkeypatch.setattr(ending, "os", SimpleNamespace(_exit=statuses.append))
    monkeypatch.setattr(ending, "ASIDE", SimpleNamespace(enqueue=lambda _: None, drain=drain))
    limits_s: SimpleQueue[float] = SimpleQueue()
    limits_s.put(3.0)
    with suppress(OSError):
        ending._wait_and_leave(limits_s)
    assert (slept_s, statuses) == ([3.0], [1])


def test_f9_a_signal_handler_may_ask_for_the_end_at_any_line_of_another_call(ends_s: list[float]) -> None:
    def start_and_ask() -> None:
        threading.Thread(target=lambda: None, daemon=True).start()
        ending.end_within(1.0)

    ending.prepare_to_end()
    line = 0
    while True:
        line += 1
        handler = Interruption(line, lambda: ending.end_within(2.0), ("threading.py", "/servers/"))
        ends_s.clear()
        assert interrupted(start_and_ask, handler) is None
        if not handler.has_come:
            break
        wait_until(lambda: sorted(ends_s) == [1.0, 2.0], 20.0)
    assert line > 10, "there were lines to interrupt"


def test_f9_a_server_that_can_start_no_thread_stops_the_arm_and_disconnects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, audit = rk.make_workcell("fake", **SLOW), tmp_path / "audit.jsonl"
    server = BackgroundServer(create_app(cell, ServerSettings(port=0, audit=audit))).start()
    answers: list[httpx.Response] = []

    def move() -> None:
        answers.append(httpx.post(f"{server.url}/v1/robot/joint_move", json=FAR, trust_env=False, timeout=60.0))

    mover = threading.Thread(target=move)
    mover.start()
    wait_until(lambda: cell.robot.machine.mode == "travelling", 20.0)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", _refuse)
        patch.setattr("anyio._backends._asyncio.WorkerThread.start", _refuse)
        server.stop()
    mover.join(20.0)
    assert answers[0].json()["code"] == "motion_failed"
    assert cell.robot.machine.stop is not None
    assert not cell.is_connected
    assert [device.is_connected for device in cell.devices()] == [False] * len(cell.devices())
    assert [json.loads(line)["event"] for line in audit.read_text().splitlines()][-2:] == ["stop", "server_stop"]
