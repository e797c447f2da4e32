"""`RequestGate`: the ASGI layer that limits every request, and notices when no client waits for its answer any more."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from functools import partial

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from robotkit.devices.machine import Moment
from robotkit.errors import InvalidCommand, RobotkitError
from robotkit.schema.wire import (
    CLIENT_HEADER,
    CLOCK_HEADER,
    DEADLINE_HEADER,
    HEARTBEAT_HEADER,
    PROTOCOL_HEADER,
    SEEN_HEADER,
)
from servers.access import SCOPE_KEY, Client, key_of
from servers.clock import require_own_clock, told_by
from servers.connections import CONNECTION, NO_BODY, ONLY_STOP, STOP_PATHS, has_body, too_many
from servers.context import ServerContext
from servers.errors import error_response, reported, status_of
from servers.events import Event
from servers.security import POSTS_OF_READERS
from servers.seen import moment_of
from servers.turns import CURRENT_CALLER, Caller
from servers.versions import require_spoken

MAX_BODY_BYTES = 65536
_BODY_TIME_S = 5.0
_PAUSES = 8
"""Looks for a heartbeat in the time that was promised; a silence is noticed one pause after that time at most."""
_WATCHED_AFTER_S = 0.01
"""A request that takes longer is watched for its client."""
_CLIENT, _CLOCK, _DEADLINE, _HEARTBEAT, _PROTOCOL, _SEEN = (
    name.lower().encode()
    for name in (CLIENT_HEADER, CLOCK_HEADER, DEADLINE_HEADER, HEARTBEAT_HEADER, PROTOCOL_HEADER, SEEN_HEADER)
)
_OF_ANY_VERSION = POSTS_OF_READERS | {"/v1/control/release"}
"""Paths that a client may post to whose version of the protocol is not spoken here."""
_NO_COMMANDS = _OF_ANY_VERSION | {"/v1/control/heartbeat", "/v1/robot/recover"}
"""Paths that a client may post to without commanding the cell."""


class RequestGate:
    """Refuses bodies that are too large before they are read, and slow ones; watches who waits for an answer.

    A request of which the client is gone is dropped before it acts, and a motion that it waits for ends. A client that
    promises a heartbeat (`HEARTBEAT_HEADER`) is gone as well once it is silent for that long.
    """

    def __init__(self, app: ASGIApp, context: ServerContext) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 408, 413, 422 or 503."""
        send = told_by(send)
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._pass(scope, receive, send)
        except Exception as error:  # whoever is above would log each of them, twice
            await error_response(reported(error))(scope, receive, send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["path"] in STOP_PATHS:
                await self._stop(scope, receive, send)
                return
            if scope.get("state", {}).get(ONLY_STOP):
                raise _Refused(too_many(scope["client"][0] if scope["client"] else ""), 503)
            request = _Request(scope, self._context.moments.now)
            if scope["method"] == "POST" and scope["path"] not in _OF_ANY_VERSION:
                _require(partial(require_spoken, request.protocol))
            if request.has_body and scope.get("state", {}).get(NO_BODY):
                raise _Refused(InvalidCommand("a body cannot follow a request for another protocol (Upgrade)"), 422)
            body = await request.read(receive) if request.has_body else b""
        except _Refused as refused:
            if scope["method"] == "POST":
                address = scope["client"][0] if scope["client"] else ""
                error = refused.error
                self._context.events.tell(Event("refused", error.message, address=address, code=error.code))
            response = error_response(refused.error, refused.status)
            # What was not read must not be taken for the next request.
            response.headers["Connection"] = "close"
            await response(scope, receive, send)
        except _Gone:
            return
        else:
            if scope["method"] == "POST":
                await self._watched(request, body, scope, receive, send)
            else:
                await self._app(scope, receive, send)

    async def _stop(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A stop needs neither body nor deadline: nothing that comes with it delays it, or has it refused."""
        is_unread = has_body(scope)

        async def say_goodbye(message: Message) -> None:
            if is_unread and message["type"] == "http.response.start":
                # What was not read must not be taken for the next request.
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, say_goodbye)

    async def _watched(self, request: _Request, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        connection = scope.get("state", {}).get(CONNECTION)
        if connection is not None and not connection.said_goodbye and scope["path"] not in _NO_COMMANDS:
            client = Client(request.key, "", request.address, scope[SCOPE_KEY])
            self._context.control.arrivals.note(client, connection)
        caller = Caller(request.deadline_s, request.protocol, connection, request.moment)
        CURRENT_CALLER.set(caller)
        loop = asyncio.get_running_loop()
        tasks: list[asyncio.Task[None]] = []

        def watch() -> None:
            tasks.append(loop.create_task(self._watch(receive, caller)))

        # Most commands are over by then, and a task for each would cost them a twentieth of their time.
        watching = loop.call_later(_WATCHED_AFTER_S, watch)
        if request.heartbeat_s is not None:
            tasks.append(asyncio.create_task(self._listen(caller, request.key, request.heartbeat_s)))
        unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return unread.pop() if unread else await loop.create_future()

        try:
            await self._app(scope, replay, send)
        finally:
            watching.cancel()
            for task in tasks:
                task.cancel()

    async def _watch(self, receive: Receive, caller: Caller) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        await self._context.control.leave(caller)

    async def _listen(self, caller: Caller, client: str, heartbeat_s: float) -> None:
        """Count the client's silence in pauses: one that this process overslept counts as what was asked for."""
        pause_s = heartbeat_s / _PAUSES
        with self._context.heartbeats.expected(client, caller):
            heard_s, silent = caller.heard_s, 0
            while silent < _PAUSES:
                await asyncio.sleep(pause_s)
                silent = silent + 1 if caller.heard_s == heard_s else 0
                heard_s = caller.heard_s
            await self._context.control.leave(caller)


class _Refused(Exception):
    """The request never reaches a route."""

    def __init__(self, error: RobotkitError, status: int) -> None:
        self.error, self.status = error, status


class _Gone(Exception):
    """The client left before its request was complete."""


class _Request:
    """The facts that the headers of a request tell about its body and its caller.

    Args:
        scope: of the request.
        moment: what had come to the arm when the headers arrived; those may name an earlier one.
    """

    def __init__(self, scope: Scope, moment: Moment | None) -> None:
        self.moment = moment
        self.has_body = False
        self.client = ""
        self.protocol: int | None = None
        self.deadline_s: float | None = None
        self.heartbeat_s: float | None = None
        for name, value in scope["headers"]:
            if name == b"content-length":
                self.has_body = value != b"0"
                _check_size(int(value))
            elif name == b"transfer-encoding":
                self.has_body = True
            elif name == _CLIENT and not self.client:  # of two the first counts, here as everywhere
                self.client = value.decode("latin-1")
            elif name == _PROTOCOL:
                self.protocol = protocol_of(value)
            elif name == _DEADLINE:
                self.deadline_s = _seconds(DEADLINE_HEADER, value)
            elif name == _CLOCK:
                clock = value.decode("latin-1")
                _require(partial(require_own_clock, clock))
            elif name == _HEARTBEAT:
                self.heartbeat_s = _seconds(HEARTBEAT_HEADER, value)
            elif name == _SEEN:
                self.moment = _seen(value)

        self.address = scope["client"][0] if scope["client"] else "unknown"

    @property
    def key(self) -> str:
        """The key by which its client is told apart from others."""
        return key_of(self.client, self.address)

    async def read(self, receive: Receive) -> bytes:
        """The whole body."""
        try:
            async with asyncio.timeout(_BODY_TIME_S):
                return await self._read(receive)
        except TimeoutError:
            error = InvalidCommand(f"the body of the request did not arrive within {_BODY_TIME_S:g} s")
            raise _Refused(error, 408) from None

    async def _read(self, receive: Receive) -> bytes:
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            part: bytes = message["body"]
            body += part
            _check_size(len(body))
            if not message["more_body"]:
                return body


def _seen(value: bytes) -> Moment:
    try:
        return moment_of(value.decode("latin-1"))
    except InvalidCommand as error:
        raise _Refused(error, 422) from None


def _check_size(size: int) -> None:
    if size > MAX_BODY_BYTES:
        error = InvalidCommand(f"the body has {size} bytes or more; no request needs more than {MAX_BODY_BYTES}")
        raise _Refused(error, 413)


def _require(check: Callable[[], None]) -> None:
    try:
        check()
    except RobotkitError as error:
        raise _Refused(error, status_of(error)) from None


def protocol_of(value: bytes | str) -> int:
    """The version that a client names; 0, which nobody speaks, for what is none."""
    return int(value) if len(value) < 10 and value.isascii() and value.isdigit() else 0


def _seconds(name: str, value: bytes) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise _Refused(InvalidCommand(f"{name} must be a number of seconds, not {value[:40]!r}"), 422)
    return seconds
