"""`JoiningLane`: of calls that are alike one runs and one waits, whatever order they come in."""

from __future__ import annotations

import asyncio
import threading

import pytest

from servers.lanes import JoiningLane


class _Work:
    """A call that hangs until it is let go, and counts."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.entered = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)

    def call(self, who: str) -> int:
        self.begun.append(who)
        count = len(self.begun)
        self.entered.release()
        assert self.may_end.acquire(timeout=20.0)
        return count


async def _begun(work: _Work) -> None:
    assert await asyncio.to_thread(work.entered.acquire, timeout=20.0)


async def _ask(lane: JoiningLane, work: _Work, who: str, times: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(lane.run(work.call, who)) for _ in range(times)]
    await asyncio.sleep(0)  # each has asked
    return tasks


def test_b2_who_asks_during_a_call_gets_the_outcome_of_one_that_begins_afterwards() -> None:
    async def run() -> list[int]:
        lane, work = JoiningLane(2), _Work()
        tasks = await _ask(lane, work, "a", 1)
        await _begun(work)
        tasks += await _ask(lane, work, "a", 100)
        for _ in range(2):
            work.may_end.release()
        first = await asyncio.gather(*tasks)
        work.may_end.release()
        return [*first, await lane.run(work.call, "a")]

    assert asyncio.run(run()) == [1, *[2] * 100, 3]


def test_b2_a_client_whose_calls_hang_takes_one_thread() -> None:
    async def run() -> list[str]:
        lane, work = JoiningLane(2), _Work()
        tasks = await _ask(lane, work, "a", 50)
        await _begun(work)
        tasks += await _ask(lane, work, "b", 1)
        await _begun(work)
        begun = list(work.begun)
        for _ in range(3):
            work.may_end.release()
        await asyncio.gather(*tasks)
        return begun

    assert asyncio.run(run()) == ["a", "b"]


def test_b2_a_call_is_carried_out_although_nobody_waits_for_it_any_more() -> None:
    async def run() -> list[str]:
        lane, work = JoiningLane(1), _Work()
        tasks = await _ask(lane, work, "a", 2)
        await _begun(work)
        for task in tasks:
            task.cancel()
        for _ in range(2):
            work.may_end.release()
        await _begun(work)
        return work.begun

    assert asyncio.run(run()) == ["a", "a"]


def test_what_a_call_raises_reaches_all_who_joined_it() -> None:
    def refuse() -> None:
        raise ValueError("refused")

    async def run() -> None:
        lane = JoiningLane(1)
        for task in [asyncio.create_task(lane.run(refuse)) for _ in range(3)]:
            with pytest.raises(ValueError, match="refused"):
                await task
        assert not lane._running
        assert not lane._next

    asyncio.run(run())
