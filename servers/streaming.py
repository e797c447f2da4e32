"""The websockets: `StateStream`, newest wins both ways, and `StepChannel`, one answer for each request."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from anyio import CancelScope
from pydantic import Field, TypeAdapter
from starlette.websockets import WebSocket, WebSocketDisconnect

from robotkit.devices.machine import Moment
from robotkit.errors import Busy, RobotkitError
from robotkit.schema import Message
from robotkit.schema.wire import PROTOCOL_HEADER, NumberedStep, StreamAck, StreamCommand, StreamError, StreamUp
from servers.access import Client
from servers.arrivals import Departure
from servers.clock import require_own_clock
from servers.connections import CONNECTION
from servers.context import ServerContext
from servers.errors import MESSAGE_MAX, reported
from servers.gate import protocol_of
from servers.seen import moment_of
from servers.turns import CURRENT_CALLER, QUEUE_LENGTH, Caller

_UP: TypeAdapter[StreamCommand | StreamAck] = TypeAdapter(StreamUp)
_STEP = TypeAdapter(NumberedStep)
_PAUSE_AFTER_FAULT_S = 0.1
_POLICY_VIOLATION = 1008
_KEPT = 2
"""Number that the first command over a websocket counts as: the connection is kept for further ones."""
_SMALL = 2048
"""A longer message is parsed in a thread: the largest takes milliseconds, which stops would wait on the event loop."""


class _Numbered(Message):
    seq: int = Field(0, ge=0)


_NUMBERED = TypeAdapter(_Numbered)


class StateStream:
    """Serves one connection.

    Nothing queues up: a state is measured when it can be sent, commands land in a slot of one, and a client that
    acknowledges is never more than `window` states behind. When the connection ends, by whatever cause, and its client
    has commanded over no other since, the robot holds at once.
    """

    def __init__(self, socket: WebSocket, context: ServerContext, client: Client, rate_hz: float, window: int) -> None:
        self._socket = socket
        self._context = context
        self._client = client
        self._caller = caller_of(socket)
        self._period_s = 1.0 / rate_hz
        self._window = window
        self._sent = 0
        self._acknowledged = 0
        self._newest: tuple[StreamCommand, Moment | None] | None = None
        self._has_command = asyncio.Event()
        self._departure: Departure | None = None

    async def run(self) -> None:
        """Serve until the client goes or the server stops."""
        CURRENT_CALLER.set(self._caller)
        tasks = [asyncio.create_task(part()) for part in (self._receive, self._obey, self._publish)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                with suppress(WebSocketDisconnect):
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            with CancelScope(shield=True):
                await asyncio.gather(*tasks, return_exceptions=True)
                control = self._context.control
                departure = self._departure or control.arrivals.lost(self._caller)
                await control.leave(self._caller)
                await control.release_departed(departure)

    async def _receive(self) -> None:
        while True:
            event = await self._socket.receive()
            if event["type"] == "websocket.disconnect":
                self._caller.is_gone = True  # what it has sent does not begin after its departure
                self._departure = self._context.control.arrivals.lost(self._caller)
                return
            content, moment = text_of(event), self._context.moments.now
            try:
                if len(content) > _SMALL:
                    message = await self._context.lanes.parsing.run(self._parse, content)
                else:
                    message = self._parse(content)
            except RobotkitError as error:
                await self._report(error)
                continue
            if isinstance(message, StreamAck):
                self._acknowledged = max(self._acknowledged, min(message.seq, self._sent))
            else:
                self._context.control.arrivals.note(self._client, self._caller, _KEPT)
                self._newest = message, moment
                self._has_command.set()

    def _parse(self, content: str | bytes) -> StreamCommand | StreamAck:
        return self._context.parse_command(self._client, _UP, content)

    async def _obey(self) -> None:
        while True:
            await self._has_command.wait()
            self._has_command.clear()
            command, self._newest = self._newest, None
            if command is None:
                continue
            try:
                await self._context.lanes.commands.run(self._apply, *command)
            except Exception as error:
                await self._report(reported(error))

    async def _publish(self) -> None:
        loop = asyncio.get_running_loop()
        tick_s = loop.time()
        while True:
            if not self._window or self._sent - self._acknowledged < self._window:
                await self._send_state()
            tick_s += self._period_s
            late_s = loop.time() - tick_s
            if late_s > self._period_s:
                tick_s += late_s
            await asyncio.sleep(max(0.0, -late_s))

    async def _send_state(self) -> None:
        try:
            state = (await self._context.reads.cell()).model_dump_json()
        except Exception as error:
            await self._report(reported(error))
            await asyncio.sleep(_PAUSE_AFTER_FAULT_S)
            return
        self._sent += 1
        await self._socket.send_text(f'{{"type":"state","seq":{self._sent},"state":{state}}}')

    async def _report(self, error: RobotkitError) -> None:
        await self._socket.send_text(error_text(error))

    def _apply(self, message: StreamCommand, moment: Moment | None) -> None:
        require_own_clock(message.clock)
        moment = moment if message.seen is None else moment_of(message.seen)
        with self._context.control.acquire(
            self._client, deadline_s=message.deadline_s, moment=moment, commands_arm=message.command is not None
        ) as cell:
            cell.send(message.command, message.gripper)


class StepChannel:
    """`POST /v1/step` without HTTP around it: each message is a `StepRequest`, each answer a state or an error.

    A web request costs more than the control step inside it; this is for loops that run faster than real time. When the
    connection ends, and its client has commanded over no other since, the robot holds at once.
    """

    def __init__(self, socket: WebSocket, context: ServerContext, client: Client) -> None:
        self._socket = socket
        self._context = context
        self._client = client
        self._caller = caller_of(socket)
        self._requests: asyncio.Queue[tuple[str | bytes, Moment | None] | None] = asyncio.Queue()
        self._departure: Departure | None = None

    async def run(self) -> None:
        """Serve until the client goes or the server stops."""
        CURRENT_CALLER.set(self._caller)
        reader = asyncio.create_task(self._read())
        try:
            with suppress(WebSocketDisconnect):
                while (request := await self._requests.get()) is not None:
                    answer = await self._context.lanes.commands.run(self._answer, *request)
                    if not self._caller.is_gone:
                        await self._socket.send_text(answer)
        finally:
            reader.cancel()
            with CancelScope(shield=True):
                control = self._context.control
                departure = self._departure or control.arrivals.lost(self._caller)
                await control.leave(self._caller)
                await control.release_departed(departure)

    async def _read(self) -> None:
        """Read beside the step that runs, so that a client that leaves is noticed while it does."""
        error = None
        while error is None and (event := await self._socket.receive())["type"] != "websocket.disconnect":
            if self._requests.qsize() >= QUEUE_LENGTH:
                error = Busy(f"{QUEUE_LENGTH} steps of this connection wait; send one after the answer to the other")
            else:
                self._context.control.arrivals.note(self._client, self._caller, _KEPT)
                self._requests.put_nowait((text_of(event), self._context.moments.now))
        self._departure = self._context.control.arrivals.lost(self._caller)
        # First: to a client that is gone as well nothing can be said.
        await self._context.control.leave(self._caller)
        if error is not None:
            with suppress(WebSocketDisconnect):
                await self._socket.send_text(error_text(error))
                await self._socket.close(_POLICY_VIOLATION)
        self._requests.put_nowait(None)

    def _answer(self, body: str | bytes, moment: Moment | None) -> str:
        try:
            request = self._context.parse_command(self._client, _STEP, body)
            require_own_clock(request.clock)
            moment = moment if request.seen is None else moment_of(request.seen)
            state = self._context.step(self._client, request, request.deadline_s, moment)
            return f'{{"type":"state","seq":{request.seq},"state":{state.model_dump_json()}}}'
        except Exception as error:
            return error_text(reported(error), _seq_of(body))


def caller_of(socket: WebSocket) -> Caller:
    """The client at the other end of a websocket."""
    protocol = socket.headers.get(PROTOCOL_HEADER)
    peer = socket.scope.get("state", {}).get(CONNECTION)
    return Caller(protocol=None if protocol is None else protocol_of(protocol), connection=peer)


def _seq_of(body: str | bytes) -> int:
    """The number of a request that may not validate otherwise; 0 when it has none."""
    try:
        return _NUMBERED.validate_json(body, extra="ignore").seq
    except ValueError:
        return 0


def text_of(event: Mapping[str, Any]) -> str | bytes:
    """The text of a client's message; its bytes when it was a binary one."""
    text: str | bytes | None = event.get("text")
    return event["bytes"] if text is None else text


def error_text(error: RobotkitError, seq: int = 0) -> str:
    """The message to a client about `error`, in the request number `seq`."""
    return StreamError(code=error.code, message=error.message[:MESSAGE_MAX], seq=seq).model_dump_json()
