"""Connection: one actor's websocket, seen from the learner."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from fastapi import WebSocket, WebSocketDisconnect

from rl.errors import JournalError, LinkProtocolError, RlError, SequenceGap
from rl.link.frames import Chunk
from rl.link.hub import ActorRecord, Hub
from rl.link.messages import Hello, LinkMessage, Receipt, Refusal, Welcome, parse_actor_message

REFUSED = 4400
"""Close code after a `Refusal`: coming back with the same words is pointless or needs a fresh start."""

_CHUNKS_AHEAD = 64  # received but not stored yet; then the socket is no longer read, and TCP slows the actor down
_HELLO_WITHIN_S = 10.0

_T = TypeVar("_T")


class Connection:
    """Three tasks that share a websocket: one listens, one stores, one tells.

    Args:
        socket: an accepted websocket.
        hub: what is shared with the learner.
        disk: executor with one thread: SQLite's fsync must not hold up the event loop.
    """

    def __init__(self, socket: WebSocket, hub: Hub, disk: Executor) -> None:
        self._socket = socket
        self._hub = hub
        self._disk = disk
        self._chunks: asyncio.Queue[Chunk] = asyncio.Queue(_CHUNKS_AHEAD)
        self._news = asyncio.Event()
        self._number = 0

    async def serve(self) -> None:
        """Talk until one end goes; every refusal is told before the socket is closed."""
        try:
            record = await self._greet()
            try:
                await self._converse(record)
            finally:
                self._hub.depart(record)
        except WebSocketDisconnect:
            return
        except RlError as error:
            if isinstance(error, JournalError) and not isinstance(error, SequenceGap):
                self._hub.fail(error)
            await self._refuse(error)

    async def _greet(self) -> ActorRecord:
        try:
            hello = parse_actor_message(await asyncio.wait_for(self._socket.receive_text(), _HELLO_WITHIN_S))
        except (KeyError, TimeoutError) as error:  # starlette raises KeyError for a frame of the other kind
            raise LinkProtocolError("the first word on this connection must be a hello") from error
        if not isinstance(hello, Hello):
            raise LinkProtocolError(f"the first word on this connection must be a hello, not {hello.kind}")
        record, welcome = await self._on_disk(partial(self._admit, hello))
        await self._say(welcome)
        return record

    def _admit(self, hello: Hello) -> tuple[ActorRecord, Welcome]:
        record, welcome = self._hub.admit(hello)
        self._number = record.newest
        return record, welcome

    async def _converse(self, record: ActorRecord) -> None:
        tasks = [asyncio.create_task(work) for work in (self._listen(record), self._store(record), self._tell(record))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _listen(self, record: ActorRecord) -> None:
        while True:
            frame = await self._socket.receive()
            if frame["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(frame.get("code", 1000))
            self._hub.require_current(record, self._number)
            self._hub.hear(record)
            if (data := frame.get("bytes")) is not None:
                await self._chunks.put(Chunk.from_bytes(data))
                continue
            message = parse_actor_message(frame["text"])
            if isinstance(message, Hello):
                raise LinkProtocolError("a second hello on one connection")
            self._hub.hear(record, message)

    async def _store(self, record: ActorRecord) -> None:
        while True:
            waiting = [await self._chunks.get()]
            while not self._chunks.empty():
                waiting.append(self._chunks.get_nowait())
            await self._on_disk(partial(self._hub.store, record, self._number, waiting))

    async def _tell(self, record: ActorRecord) -> None:
        loop = asyncio.get_running_loop()
        unsubscribe = self._hub.subscribe(partial(loop.call_soon_threadsafe, self._news.set))
        told: Receipt | None = None
        sent_version: int | None = None
        try:
            while True:
                self._news.clear()
                self._hub.require_current(record, self._number)
                receipt = self._hub.receipt(record)
                weights = self._hub.newest_weights()
                if weights is not None and weights[0] != sent_version:
                    sent_version, frame = weights
                    await self._socket.send_bytes(frame)
                if receipt != told:  # after the weights: who hears that the training is over has the last ones
                    await self._say(receipt)
                    told = receipt
                await self._news.wait()
        finally:
            unsubscribe()

    async def _refuse(self, error: RlError) -> None:
        try:
            await self._say(Refusal(code=error.code, message=str(error)))
            await self._socket.close(REFUSED)
        except (RuntimeError, WebSocketDisconnect):  # the actor has gone meanwhile; there is nobody to tell
            return

    async def _say(self, message: LinkMessage) -> None:
        await self._socket.send_text(message.model_dump_json())

    async def _on_disk(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)
