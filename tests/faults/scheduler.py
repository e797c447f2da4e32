"""`every_schedule`: run a few threads in every order in which their steps can interleave, without sleeping.

A thread runs alone until it comes to a point: it wants the lock, or it calls the device. There the next thread to run
is chosen; a depth-first search goes through all choices.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

_STUCK_S = 20.0


@dataclass
class Worker:
    """One call in a thread of its own."""

    name: str
    call: Callable[[], object]
    error: BaseException | None = None
    is_done: bool = False
    waits_for: Callable[[], bool] = lambda: True
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


class Scheduler:
    """Lets one worker run at a time, from point to point."""

    def __init__(self, choices: list[int]) -> None:
        self.widths: list[int] = []
        self._choices = choices
        self._workers: dict[int, Worker] = {}
        self._back = threading.Semaphore(0)

    def point(self, waits_for: Callable[[], bool] = lambda: True) -> None:
        """Let somebody else run, and go on when `waits_for` is true; a thread that is no worker goes on at once."""
        worker = self._workers.get(threading.get_ident())
        if worker is not None:
            worker.waits_for = waits_for
            self._back.release()
            assert worker.go.acquire(timeout=_STUCK_S)
            worker.waits_for = lambda: True

    def run(self, *calls: tuple[str, Callable[[], object]]) -> dict[str, BaseException | None]:
        """Run the calls in the order that the choices say; returns what each has raised."""
        workers = [Worker(name, call) for name, call in calls]
        threads = [threading.Thread(target=self._work, args=(worker,), daemon=True) for worker in workers]
        for thread in threads:
            thread.start()
            assert self._back.acquire(timeout=_STUCK_S)
        while not all(worker.is_done for worker in workers):
            ready = [worker for worker in workers if not worker.is_done and worker.waits_for()]
            assert ready, f"deadlock: {[worker.name for worker in workers if not worker.is_done]}"
            ready[self._choose(len(ready))].go.release()
            assert self._back.acquire(timeout=_STUCK_S), "a worker waits for something that is no point"
        for thread in threads:
            thread.join(_STUCK_S)
        return {worker.name: worker.error for worker in workers}

    def _choose(self, width: int) -> int:
        index = len(self.widths)
        self.widths.append(width)
        return self._choices[index] if index < len(self._choices) else 0

    def _work(self, worker: Worker) -> None:
        self._workers[threading.get_ident()] = worker
        try:
            self.point()
            worker.call()
        except BaseException as error:
            worker.error = error
        worker.is_done = True
        del self._workers[threading.get_ident()]
        self._back.release()


class ScheduledLock:
    """A re-entrant lock whose every wait is a point."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._owner: int | None = None
        self._depth = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock; a time-out never passes, because no time does."""
        me = threading.get_ident()
        if self._owner != me:
            self._scheduler.point(lambda: self._owner is None)
            self._owner = me
        self._depth += 1
        return True

    def release(self) -> None:
        """Give it back."""
        self._depth -= 1
        if self._depth == 0:
            self._owner = None

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def every_schedule(most: int = 20_000) -> Iterator[Scheduler]:
    """A scheduler for each order; use each for one run."""
    choices: list[int] = []
    for _ in range(most):
        scheduler = Scheduler(choices)
        yield scheduler
        choices = [choices[i] if i < len(choices) else 0 for i in range(len(scheduler.widths))]
        while choices and choices[-1] + 1 >= scheduler.widths[len(choices) - 1]:
            choices.pop()
        if not choices:
            return
        choices[-1] += 1
    raise AssertionError(f"more than {most} schedules")
