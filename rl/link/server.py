"""LinkServer: the learner's end of the link, FastAPI and uvicorn in a thread of their own."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI, HTTPException, Request, WebSocket
from starlette.requests import HTTPConnection

from rl.errors import ConfigError, LinkUnavailable
from rl.link.actor_connection import ActorConnection
from rl.link.frames import MAX_FRAME_BYTES
from rl.link.hub import LearnerHub


def create_app(hub: LearnerHub, token: str | None = None, *, is_local: bool = True) -> FastAPI:
    """The link as an ASGI application.

    Args:
        hub: the state shared with the learner's loop.
        token: when given, every request must carry it as `Authorization: Bearer …`.
        is_local: it listens on the loopback interface alone.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with ThreadPoolExecutor(1, thread_name_prefix="journal") as app.state.disk:
            yield

    app = FastAPI(title="robotkit learner", lifespan=lifespan, openapi_url=None)

    @app.get("/v1/status")
    def status(request: Request) -> dict[str, Any]:
        if is_foreign_page(request, is_local):
            raise HTTPException(403, "no web page may use this learner")
        if not is_authorized(request, token):
            raise HTTPException(401, "the token is missing or wrong")
        return hub.status()

    @app.websocket("/v1/link")
    async def link(websocket: WebSocket) -> None:
        if is_foreign_page(websocket, is_local) or not is_authorized(websocket, token):
            await websocket.close()  # before accept: the handshake fails with 403
            return
        await websocket.accept()
        await ActorConnection(websocket, hub, websocket.app.state.disk).serve()

    return app


def is_authorized(connection: HTTPConnection, token: str | None) -> bool:
    """True when no token is asked for, or the right one came; the comparison takes constant time."""
    given = connection.headers.get("authorization", "")
    return token is None or secrets.compare_digest(given.encode(), f"Bearer {token}".encode())


def is_foreign_page(connection: HTTPConnection, is_local: bool) -> bool:
    """True for what a web page asks, as a browser lets any page ask 127.0.0.1.

    Such a request carries the page's own `Origin`, or, after DNS rebinding, the page's own `Host`.

    Args:
        connection: a request, or the handshake of a websocket.
        is_local: the learner listens on the loopback interface alone.
    """
    host, origin = connection.headers.get("host", ""), connection.headers.get("origin")
    if is_local and not is_loopback(_name(f"//{host}")):
        return True
    return origin is not None and _place(origin) != host


class LinkServer:
    """Serves a hub while the `with` block runs.

    Args:
        hub: the state shared with the learner's loop.
        host: address to listen on; everything but loopback needs a token.
        port: port to listen on; 0 picks a free one.
        token: what actors must present.

    Raises:
        ConfigError: the port is in use, the address is not ours, or a token is missing.
    """

    def __init__(self, hub: LearnerHub, host: str, port: int, token: str | None = None) -> None:
        if token is None and not is_loopback(host):
            raise ConfigError(
                f"listening on {host} without a token would let anyone feed the learner: "
                "give --link.token or set RL_LINK_TOKEN"
            )
        self._socket = bind(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            create_app(hub, token, is_local=is_loopback(host)),
            log_config=None,
            access_log=False,
            ws="websockets-sansio",
            ws_max_size=MAX_FRAME_BYTES,
            ws_per_message_deflate=False,  # float noise does not shrink
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="link", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = threading.Event()
        while not self._server.started:
            if not self._thread.is_alive():
                raise LinkUnavailable("the learner's link did not start; its error is above")
            deadline.wait(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(10.0)
        self._socket.close()


def is_loopback(host: str) -> bool:
    """True for localhost and the addresses of the loopback interface."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ConfigError: another program has the port, or this machine has no such address.
    """
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[4], family=address[0])
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror}; another learner may run there. "
            "Stop it, or choose another --link.port (0 picks a free one)"
        ) from error


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _place(url: str) -> str | None:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return None
