"""`Meeting`: where the cells of one simulated world agree on when its time passes and when it is reset."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_TINY_S = 1e-9


@dataclass(eq=False)
class _Request:
    """A request of a member, for which one of its threads waits."""

    member: Any
    left_s: float | None = None
    """Time that has still to pass; None where a reset is asked for."""
    start: Any = None
    """The start that a reset asks for."""
    is_done: bool = False
    error: BaseException | None = None


class Meeting:
    """Lets several cells command one world at once: between `open` and `leave`, nobody's step comes before another's.

    Time passes when every cell that takes part has asked for time or for a reset, and no farther than the least that
    was asked; a reset is done once, when every one of them has asked for it. A cell that does not take part is not
    waited for: what it asks is done at once. Each cell asks from a thread of its own; where a second thread asks for
    time too (a joint motion that begins in the middle of a step), the time that passes is that of both.

    Args:
        advance: lets that many seconds pass in the world.
        reset: resets the world, from the start that each cell asks for.
    """

    def __init__(self, advance: Callable[[float], None], reset: Callable[[Mapping[Any, Any]], None]) -> None:
        self._advance, self._reset = advance, reset
        # Entered by `with` itself: Ctrl+C in a condition's `__exit__`, which is Python, would leave it locked for ever.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._present: set[Any] = set()
        self._asked: list[_Request] = []

    def open(self, members: Iterable[Any]) -> None:
        """From now on these cells take part, until each has left."""
        with self._lock:
            self._present.update(members)

    def leave(self, member: Any) -> None:
        """A cell takes part no more; the others go on without it. Leaving twice changes nothing."""
        with self._lock:
            self._present.discard(member)
            self._settle()

    def advance(self, member: Any, period_s: float) -> None:
        """Let `period_s` pass for a cell.

        Raises:
            Exception: as the world's own advance; every cell that waits for time gets it.
        """
        self._ask(_Request(member, left_s=period_s))

    def reset(self, member: Any, start: Any) -> None:
        """Reset the world.

        Raises:
            Exception: as the world's own reset; every cell that waits for it gets it.
        """
        self._ask(_Request(member, start=start))

    def _ask(self, request: _Request) -> None:
        with self._lock:
            is_present = request.member in self._present
            if is_present:
                self._asked.append(request)
                try:
                    self._settle()
                    self._changed.wait_for(lambda: request.is_done)
                finally:  # also where Ctrl+C ends the wait: nothing is done later that nobody waits for
                    self._asked = [other for other in self._asked if other is not request]
        if not is_present:
            self._serve([request])
        if request.error is not None:
            raise request.error

    def _settle(self) -> None:
        """Do what can be done while nobody who takes part is still at work; the lock is held."""
        while self._asked and {request.member for request in self._asked} >= self._present:
            self._serve(self._asked)
            self._asked = [request for request in self._asked if not request.is_done]
            self._changed.notify_all()

    def _serve(self, asked: Sequence[_Request]) -> None:
        """Let the least time pass that is asked for; where nobody asks for time, reset."""
        waiting = [request for request in asked if request.left_s is not None]
        step_s = min((request.left_s or 0.0 for request in waiting), default=0.0)
        try:
            if waiting:
                self._advance(step_s)
            else:
                self._reset({request.member: request.start for request in asked})
        except BaseException as error:
            for request in waiting or asked:
                request.is_done, request.error = True, error
            return
        for request in waiting or asked:
            request.left_s = None if request.left_s is None else request.left_s - step_s
            request.is_done = request.left_s is None or request.left_s <= _TINY_S
