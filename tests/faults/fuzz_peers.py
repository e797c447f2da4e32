"""Clients that send whatever bytes they are given: straight into an app, and over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from fastapi import FastAPI

Headers = list[tuple[bytes, bytes]]

OWN_HEADERS: Headers = [(b"host", b"localhost"), (b"x-robotkit-client", b"fuzz"), (b"x-robotkit-name", b"fuzz")]
ANSWER_TIME_S = 20.0
"""Longer than any message may take; no verdict of a healthy run depends on it."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes

    @property
    def code(self) -> str:
        """Name of the error, after a check that the answer has the one form of all refusals."""
        fields = json.loads(self.body)
        assert fields.keys() == {"code", "message"}, self
        assert fields["code"], self
        assert fields["message"], self
        return str(fields["code"])


def headers_with(odd: Headers) -> Headers:
    """The headers of a client, with some replaced."""
    replaced = {name for name, _ in odd}
    return [header for header in OWN_HEADERS if header[0] not in replaced] + odd


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[FastAPI]:
    """`app` between its start and its end, without a socket."""
    async with app.router.lifespan_context(app):
        yield app


async def call(
    app: FastAPI, method: str, path: str, body: bytes = b"", headers: Headers = OWN_HEADERS, query: bytes = b""
) -> Answer:
    """One request, as uvicorn would hand it to the app."""
    status, content = 0, b""
    left = asyncio.get_running_loop().create_future()
    unread = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return unread.pop() if unread else await left

    async def send(message: Any) -> None:
        nonlocal status, content
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            content += message.get("body", b"")

    length = [(b"content-length", b"%d" % len(body))] if body else []
    scope = _scope("http", path, query, headers + length) | {"method": method}
    async with asyncio.timeout(ANSWER_TIME_S):
        await app(scope, receive, send)
    return Answer(status, content)


class Socket:
    """A websocket into an app."""

    def __init__(self) -> None:
        self._up: asyncio.Queue[Any] = asyncio.Queue()
        self._down: asyncio.Queue[Any] = asyncio.Queue()
        self._up.put_nowait({"type": "websocket.connect"})
        self.is_broken = False
        """True: whatever the app sends fails, as it does once the connection is lost."""

    async def _take(self, event: Any) -> None:
        if self.is_broken:
            raise OSError("the connection is lost")
        await self._down.put(event)

    async def run(self, app: FastAPI, path: str, headers: Headers, query: bytes) -> None:
        """Serve it."""
        extensions: dict[str, Any] = {"extensions": {"websocket.http.response": {}}}
        await app(_scope("websocket", path, query, headers) | extensions, self._up.get, self._take)

    def send(self, content: bytes, is_binary: bool) -> None:
        """Send a message; a text that is none travels as bytes, since uvicorn itself refuses it."""
        try:
            event = {"bytes": content} if is_binary else {"text": content.decode()}
        except UnicodeDecodeError:
            event = {"bytes": content}
        self._up.put_nowait({"type": "websocket.receive"} | event)

    def leave(self) -> None:
        """Close."""
        self._up.put_nowait({"type": "websocket.disconnect", "code": 1006})

    async def receive(self) -> dict[str, Any]:
        """The next event that the app sends; raises TimeoutError when it sends none."""
        async with asyncio.timeout(ANSWER_TIME_S):
            event: dict[str, Any] = await self._down.get()
            return event

    async def answer(self, wanted: str = "") -> dict[str, Any]:
        """The next message of type `wanted`, or of any."""
        while True:
            event = await self.receive()
            assert event["type"] == "websocket.send", event
            message: dict[str, Any] = json.loads(event["text"])
            if wanted in ("", message["type"]):
                return message


@asynccontextmanager
async def opened(app: FastAPI, path: str, headers: Headers = OWN_HEADERS, query: bytes = b"") -> AsyncIterator[Socket]:
    """A websocket that has asked to be accepted; leaving the block closes it, and waits until the app is done."""
    socket = Socket()
    task = asyncio.create_task(socket.run(app, path, headers, query))
    try:
        yield socket
    finally:
        socket.leave()
        async with asyncio.timeout(ANSWER_TIME_S):
            await task


def _scope(kind: str, path: str, query: bytes, headers: Headers) -> dict[str, Any]:
    return {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "ws" if kind == "websocket" else "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 5000),
        "state": {},
        "subprotocols": [],
    }


class Line:
    """A keep-alive connection to a real server, on which the bytes of a request are ours."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._host, self._port = host, int(port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, head: bytes, body: bytes, has_body: bool = True) -> Answer:
        """Send `head` (without its end) and `body`, and read one answer; a closed connection is opened again."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(head + b"\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        async with asyncio.timeout(ANSWER_TIME_S):
            answer, is_last = await _read(reader, has_body)
        if is_last:
            self.close()
        return answer

    def close(self) -> None:
        """Close, if it is open."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _read(reader: asyncio.StreamReader, has_body: bool) -> tuple[Answer, bool]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = int(head.split(" ", 2)[1])
    length = next((int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length:")), 0)
    body = await reader.readexactly(length) if has_body else b""
    return Answer(status, body), "connection: close" in head or not has_body
