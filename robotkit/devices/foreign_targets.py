"""`ForeignTargets`: detects from an arm's target epoch that the arm has replaced its target itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class ForeignTargets:
    """Tells the epochs that calls to the arm have caused from those that the arm began itself.

    What is measured while such a call is under way, or across its end, tells nothing. No lock is taken: a stop from a
    signal handler is such a call.
    """

    def __init__(self) -> None:
        self._under_way: set[object] = set()
        self._newest_call = object()
        self._known: tuple[object, int] = (object(), 0)

    @contextmanager
    def replacing(self) -> Iterator[None]:
        """A call inside may begin an epoch of the arm."""
        call = object()
        self._under_way.add(call)
        try:
            yield
        finally:
            self._newest_call = call  # first: what was measured before does not count any more
            self._under_way.discard(call)

    def mark(self) -> object | None:
        """Return the mark of a measurement that begins now, for `has_replaced`."""
        return None if self._under_way else self._newest_call

    def has_replaced(self, mark: object | None, epoch: int) -> bool:
        """True if the arm has begun an epoch itself, when it reported `epoch` in a measurement that began at `mark`."""
        if mark is None or mark is not self.mark():
            return False
        known_mark, known_epoch = self._known
        self._known = mark, epoch
        return known_mark is mark and epoch > known_epoch
