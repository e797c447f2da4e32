"""`StopCopies`: the copies of one stop, which its client sends until somebody answers, stop the arm once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from servers.access import Client

_KNOWN_S = 60.0
"""How long the copies of a stop are known as such."""
_KNOWN_MAX = 256
_FIRST_S = 0.5
"""How long a copy waits for the outcome of the one before it."""
_ID_CHARS = range(16, 65)
"""A shorter id may be one that a client sends with every stop."""

_Key = tuple[Client, str]
T = TypeVar("T")


class StopCopies(Generic[T]):
    """Tells the copies of a stop, on the event loop.

    Where it cannot tell, as of a copy that was forgotten, the arm is stopped anew.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[_Key, tuple[float, asyncio.Task[T]]] = OrderedDict()

    async def once(self, client: Client, stop_id: str | None, stop: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what `stop`, or the stop of this client with this id that has succeeded, returns.

        A stop without an id is no copy.

        Raises:
            Exception: as `stop` does.
        """
        if stop_id is None or len(stop_id) not in _ID_CHARS:
            return await stop()
        task = await self._succeeded((client, stop_id))
        if task is None:
            task = asyncio.get_running_loop().create_task(stop())
            self._remember((client, stop_id), task)
        # Its connection may be closed where another copy was answered: the stop goes on.
        return await asyncio.shield(task)

    async def _succeeded(self, key: _Key) -> asyncio.Task[T] | None:
        since_s, task = self._known.get(key, (0.0, None))
        if task is None or asyncio.get_running_loop().time() - since_s > _KNOWN_S:
            return None
        await asyncio.wait([task], timeout=_FIRST_S)
        return task if task.done() and not task.cancelled() and task.exception() is None else None

    def _remember(self, key: _Key, task: asyncio.Task[T]) -> None:
        task.add_done_callback(lambda ended: None if ended.cancelled() else ended.exception())
        self._known.pop(key, None)
        self._known[key] = asyncio.get_running_loop().time(), task
        if len(self._known) > _KNOWN_MAX:
            self._known.popitem(last=False)
