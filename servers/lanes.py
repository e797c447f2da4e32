"""`Lanes`: separate threads for each kind of work, so that no kind can use those of another."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar, TypeVarTuple, Unpack

from anyio import CapacityLimiter, to_thread

from robotkit.aside import aside_logger
from servers.errors import endings_as_faults

_log = aside_logger(__name__)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Lane:
    """A lane of calls: at most `width` calls at a time, in worker threads; further ones wait.

    A task that is cancelled leaves its call behind: a device that hangs does not keep the server from ending. What a
    driver raises to end a program ends neither the server nor the task that waits: it is a `DeviceFault`.
    """

    def __init__(self, width: int) -> None:
        self._limiter = CapacityLimiter(width)

    async def run(self, work: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        """Call `work` in a thread and return what it returns."""
        call = partial(_outcome_of, work, *args)
        return await to_thread.run_sync(call, limiter=self._limiter, abandon_on_cancel=True)

    async def within(self, limit_s: float, name: str, work: Callable[[], object]) -> None:
        """Call `work`; when it does not end within `limit_s`, or fails, say so by its `name` and go on without it."""
        try:
            trouble = await asyncio.wait_for(self.run(_trouble_of, work), limit_s)
        except TimeoutError:
            _log.error("%s did not end within %g s: a device hangs", name, limit_s)
        except Exception as error:  # all threads hang, and the process may have no more
            _log.error("%s was not begun", name, exc_info=error)
        else:
            if trouble is not None:
                _log.error("%s failed", name, exc_info=trouble)


def _outcome_of(work: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
    with endings_as_faults():
        return work(*args)


def _trouble_of(work: Callable[[], object]) -> Exception | None:
    try:
        _outcome_of(work)
    except Exception as error:
        return error
    return None


class KeptLane(Lane):
    """A lane with some threads that exist from its beginning: it works when the process can start no more.

    When these hang, it takes other threads, as far as there are any. Its work is carried out also when nobody waits
    for it any more.
    """

    def __init__(self, width: int, kept: int) -> None:
        super().__init__(width)
        self._work: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._idle = threading.Semaphore(kept)
        threads = [
            threading.Thread(target=_serve, args=(self._work, self._idle), name="robotkit-kept", daemon=True)
            for _ in range(kept)
        ]
        for thread in threads:
            thread.start()
        weakref.finalize(self, _end, self._work, kept)

    async def run(self, work: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        """Call `work` in a kept thread, or in another one while all of these are busy."""
        if not self._idle.acquire(blocking=False):
            return await super().run(work, *args)
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        self._work.put(partial(_settle, loop, outcome, partial(copy_context().run, partial(_outcome_of, work, *args))))
        return await outcome


def _serve(work: SimpleQueue[Callable[[], object] | None], idle: threading.Semaphore) -> None:
    while (call := work.get()) is not None:
        call()
        del call  # nothing of it is kept until the next
        idle.release()


def _end(work: SimpleQueue[Callable[[], object] | None], kept: int) -> None:
    for _ in range(kept):
        work.put(None)


def _settle(loop: asyncio.AbstractEventLoop, outcome: asyncio.Future[T], call: Callable[[], T]) -> None:
    try:
        settle = partial(outcome.set_result, call())
    except StopIteration as error:  # which no future takes
        settle = partial(outcome.set_exception, RuntimeError(f"a driver raised {error!r}"))
    except Exception as error:
        settle = partial(outcome.set_exception, error)
    with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
        loop.call_soon_threadsafe(_unless_cancelled, outcome, settle)


def _unless_cancelled(outcome: asyncio.Future[T], settle: Callable[[], None]) -> None:
    if not outcome.done():
        settle()


class JoiningLane(Lane):
    """A lane for calls of which one does for all that are alike: the same function with the same arguments.

    Of those one runs and one waits for its end; whoever asks meanwhile gets the outcome of the one that waits, which
    begins after it was asked for. However often one client asks, it takes one thread, also of a device that hangs.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self._running: dict[object, asyncio.Task[Any]] = {}
        self._next: dict[object, asyncio.Task[Any]] = {}
        self._since_s: dict[object, float] = {}

    async def run(self, work: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        """Call `work` in a thread, or wait for a call like it that has not begun; to be cancelled ends neither."""
        outcome: T = await asyncio.shield(self.join(work, *args))
        return outcome

    def join(self, work: Callable[[Unpack[Ts]], T], *args: *Ts) -> asyncio.Task[T]:
        """The call of `work` that `run` waits for.

        Unlike in other lanes, the work is carried out also when nobody waits for it any more.
        """
        key = (work, *args)
        task = self._next.get(key)
        if task is None:
            running = self._running.get(key)
            task = asyncio.create_task(self._run(key, running, work, *args))
            task.add_done_callback(_retrieve)
            if running is None:
                self._running[key] = task
            else:
                self._next[key] = task
        return task

    async def _run(
        self, key: object, before: asyncio.Task[Any] | None, work: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> T:
        if before is not None:
            await asyncio.wait([before])
            self._running[key] = self._next.pop(key)
        self._since_s[key] = time.monotonic()
        try:
            return await super().run(work, *args)
        finally:
            del self._running[key], self._since_s[key]

    def running_for_s(self, work: Callable[[Unpack[Ts]], T], *args: *Ts) -> float:
        """How long the call like it that runs has been running; 0 when none does."""
        now_s = time.monotonic()
        return now_s - self._since_s.get((work, *args), now_s)


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Take what a call raised, so that it is no trouble of the event loop when all who waited are gone."""
    if not task.cancelled():
        task.exception()


class Lanes:
    """The lanes of one server."""

    def __init__(self) -> None:
        self.stop = KeptLane(64, kept=4)
        """Stops, and nothing else."""
        self.holds = JoiningLane(16)
        """Holds that a client asks for, and control that it gives back."""
        self.gone = JoiningLane(64)
        """Holds after a client is gone."""
        self.recover = Lane(4)
        self.shutdown = KeptLane(4, kept=4)
        self.arm = JoiningLane(2)
        """Measurements of the arm, and nothing else: whoever has sent a stop looks here whether it acts."""
        self.devices = JoiningLane(64)
        """Measurements of the gripper and the trackers."""
        self.reads = Lane(16)
        """Calls that need no device but the clock, and in lock-step the whole cell."""
        self.health = Lane(4)
        self.images = Lane(4)
        self.parsing = Lane(2)
        """Calls that wait for nothing, and take too long for the event loop."""
        self.commands = KeptLane(40, kept=1)
        """Commands. One acts at a time: the thread that is kept serves a control loop, at half the cost of another."""
