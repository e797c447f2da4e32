"""`KeptLane`: a stop is carried out in a process that may start no more threads, also when nobody waits for it."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import httpx
import pytest

import robotkit as rk
from servers import ServerSettings
from servers.lanes import KeptLane
from tests.serving import served

NAME = contextvars.ContextVar("NAME", default="nobody")


def _refuse(*_: object) -> None:
    raise RuntimeError("can't start new thread")


def test_b2_a_stop_is_served_when_the_process_can_start_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = rk.make_workcell("fake", clock="real")
    with served(cell, ServerSettings()) as url, httpx.Client(base_url=url, trust_env=False, timeout=20.0) as http:
        assert http.get("/v1/health").status_code == 200
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", _refuse)
            patch.setattr("anyio._backends._asyncio.WorkerThread.start", _refuse)
            for _ in range(6):
                assert http.post("/v1/robot/stop").status_code == 204
        assert cell.robot.machine.mode == "stopped"


def test_what_a_call_raises_is_told_and_its_context_is_that_of_whoever_asked() -> None:
    async def run() -> None:
        lane = KeptLane(1, kept=1)
        NAME.set("anna")
        assert await lane.run(NAME.get) == "anna"
        with pytest.raises(rk.DeviceFault, match="SystemExit: its own"):  # which ends no event loop
            await lane.run(_exit)
        with pytest.raises(RuntimeError, match="StopIteration"):  # which no future takes
            await lane.run(next, iter(()))
        assert await lane.run(abs, -3) == 3

    def _exit() -> None:
        raise SystemExit("its own")

    asyncio.run(run())


def test_a_call_whose_caller_is_gone_is_carried_out_and_other_threads_help_out_while_it_hangs() -> None:
    async def run() -> None:
        lane, entered, may_end = KeptLane(2, kept=1), threading.Event(), threading.Event()
        hanging = asyncio.create_task(lane.run(lambda: (entered.set(), may_end.wait(20.0))))
        await asyncio.sleep(0)
        hanging.cancel()
        assert await asyncio.to_thread(entered.wait, 20.0)
        assert await lane.run(threading.current_thread) not in _kept()
        may_end.set()

    asyncio.run(run())


def test_the_threads_of_a_lane_end_with_it() -> None:
    before = _kept()
    lane = KeptLane(1, kept=2)
    added = _kept() - before
    assert len(added) == 2
    del lane
    for thread in added:
        thread.join(20.0)
        assert not thread.is_alive()


def _kept() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "robotkit-kept"}
