"""ActorConnection: the learner's end of one actor's websocket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, MutableMapping
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from fastapi import WebSocket, WebSocketDisconnect

from rl.errors import JournalError, LinkProtocolError, RlError, SequenceGap
from rl.link.frames import Chunk
from rl.link.hub import ActorRecord, LearnerHub
from rl.link.messages import (
    PROTOCOL,
    Ack,
    Handshake,
    HandshakeReply,
    LinkMessage,
    OldHandshake,
    OldReject,
    Reject,
    parse_actor_message,
)

logger = logging.getLogger(__name__)

REJECTED = 4400
"""Close code after a `Reject`: the same message again is pointless or needs a fresh start."""

_CHUNKS_AHEAD = 64  # received but not stored yet; then the socket is no longer read, and TCP slows the actor down
_HANDSHAKE_TIMEOUT_S = 10.0
_SILENCE_TIMEOUT_S = 30.0  # an actor that runs sends a heartbeat each second
_SEND_TIMEOUT_S = 30.0  # as long as the largest policy takes on a slow network
_NEWS_PAUSE_S = 0.0005  # between two messages, for each connection: 2000 messages a second to all together

_T = TypeVar("_T")


class ActorConnection:
    """The learner's end of a websocket, which three tasks share: one receives, one stores, one sends.

    A peer that is silent for long, or takes nothing, is gone, although its connection stands: its process is stopped,
    or its machine sleeps. It connects again when it goes on, and sends what was not stored.

    Args:
        socket: an accepted websocket.
        hub: the state shared with the learner.
        disk: executor with one thread: SQLite's fsync must not hold up the event loop.
    """

    def __init__(self, socket: WebSocket, hub: LearnerHub, disk: Executor) -> None:
        self._socket = socket
        self._hub = hub
        self._disk = disk
        self._chunks: asyncio.Queue[Chunk] = asyncio.Queue(_CHUNKS_AHEAD)
        self._news = asyncio.Event()
        self._is_told = False
        self._is_old = False
        self._number = 0

    async def serve(self) -> None:
        """Serve until one end closes the socket; an error is sent before."""
        try:
            record = await self._shake_hands()
            try:
                await self._run(record)
            finally:
                self._hub.unregister(record)
        except WebSocketDisconnect:
            return
        except TimeoutError:
            logger.warning("an actor neither sends nor takes anything any more: its connection is given up")
        except RlError as error:
            if isinstance(error, JournalError) and not isinstance(error, SequenceGap):
                self._hub.fail(error)
            await self._reject(error)

    async def _shake_hands(self) -> ActorRecord:
        try:
            handshake = parse_actor_message(await asyncio.wait_for(self._socket.receive_text(), _HANDSHAKE_TIMEOUT_S))
        except (KeyError, TimeoutError) as error:  # starlette raises KeyError for a frame of the other kind
            raise LinkProtocolError("the first message of a connection must be a handshake") from error
        if isinstance(handshake, OldHandshake):
            self._is_old = True
            raise LinkProtocolError(f"the actor has protocol 1 of the link, the learner {PROTOCOL}: update the actor")
        if not isinstance(handshake, Handshake):
            raise LinkProtocolError(f"the first message of a connection must be a handshake, not {handshake.kind}")
        record, reply = await self._on_disk(partial(self._register, handshake))
        try:
            await self._send(reply)
        except BaseException:
            self._hub.unregister(record)
            raise
        return record

    def _register(self, handshake: Handshake) -> tuple[ActorRecord, HandshakeReply]:
        record, reply = self._hub.register(handshake)
        self._number = record.newest
        return record, reply

    async def _run(self, record: ActorRecord) -> None:
        work = self._receive(record), self._store(record), self._send_news(record)
        tasks = [asyncio.create_task(part) for part in work]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _receive(self, record: ActorRecord) -> None:
        while True:
            frame = await self._next_frame()
            if frame["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(frame.get("code", 1000))
            self._hub.require_current(record, self._number)
            self._hub.on_message(record)
            if (data := frame.get("bytes")) is not None:
                await self._chunks.put(Chunk.from_bytes(data))
                continue
            message = parse_actor_message(frame["text"])
            if isinstance(message, Handshake | OldHandshake):
                raise LinkProtocolError("a second handshake on one connection")
            self._hub.on_message(record, message)

    async def _next_frame(self) -> MutableMapping[str, Any]:
        """Wait for a message, twice: the first time may have passed while this process stood still, and not the peer.

        Raises:
            TimeoutError: the peer is silent.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_SILENCE_TIMEOUT_S / 2):  # unlike `wait_for` always cancelled when asked to
                return await self._socket.receive()
        async with asyncio.timeout(_SILENCE_TIMEOUT_S / 2):
            return await self._socket.receive()

    async def _store(self, record: ActorRecord) -> None:
        while True:
            waiting = [await self._chunks.get()]
            while not self._chunks.empty():
                waiting.append(self._chunks.get_nowait())
            await self._on_disk(partial(self._hub.store, record, self._number, waiting))

    async def _send_news(self, record: ActorRecord) -> None:
        unsubscribe = self._hub.subscribe(partial(self._tell, asyncio.get_running_loop()))
        sent: Ack | None = None
        sent_version: int | None = None
        try:
            while True:
                self._is_told = False
                self._news.clear()
                self._hub.require_current(record, self._number)
                ack = self._hub.ack(record)
                weights = self._hub.newest_weights()
                if weights is not None and weights[0] != sent_version:
                    sent_version, frame = weights
                    async with asyncio.timeout(_SEND_TIMEOUT_S):
                        await self._socket.send_bytes(frame)
                if ack != sent:  # after the weights: an actor that receives the end has the last ones
                    await self._send(ack)
                    sent = ack
                # Each transition is news to all: without a pause the messages would grow as the square of the actors.
                await asyncio.sleep(_NEWS_PAUSE_S * self._hub.connections)
                await self._news.wait()
        finally:
            unsubscribe()

    def _tell(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake the sending task, once until it looks. From any thread."""
        if not self._is_told:
            self._is_told = True
            loop.call_soon_threadsafe(self._news.set)

    async def _reject(self, error: RlError) -> None:
        try:
            reject = OldReject if self._is_old else Reject
            await self._send(reject(code=error.code, message=str(error)))
            await self._socket.close(REJECTED)
        except (RuntimeError, TimeoutError, WebSocketDisconnect):  # the actor has gone; there is nobody to tell
            return

    async def _send(self, message: LinkMessage) -> None:
        async with asyncio.timeout(_SEND_TIMEOUT_S):
            await self._socket.send_text(message.model_dump_json())

    async def _on_disk(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)
