"""`create_app`: makes a web application of a built workcell."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from robotkit.schema.wire import ErrorReply
from robotkit.workcell import Workcell
from servers.connections import Connections
from servers.context import ServerContext
from servers.errors import STATUS, add_error_handlers
from servers.events import Event
from servers.gate import RequestGate
from servers.openapi import add_document
from servers.routes import ROUTERS
from servers.routes.direct import DirectWay
from servers.security import TOO_MANY_TOKENS, Guard
from servers.settings import ServerSettings

STOP_WAIT_S = 1.0
_DISCONNECT_WAIT_S = 3.0
"""A device that hangs does not keep the server from ending."""

_DESCRIPTION = """
One workcell over HTTP. Reads are GET, actions are POST. Every refusal is `{"code", "message"}` with a stable code.

The first client that commands holds control until it disconnects or is silent; anyone may read and stop.
"""


def _build_routes(app: FastAPI) -> None:
    """Look for a route that is not there: FastAPI builds each when first asked for, which takes a tenth of a second."""
    for kind in ("http", "websocket"):
        scope: dict[str, object] = {
            "type": kind,
            "method": "POST",
            "path": "/none",
            "root_path": "",
            "headers": [],
            "app": app,
        }
        for route in app.router.routes:
            route.matches(scope)


def create_app(workcell: Workcell, settings: ServerSettings | None = None) -> FastAPI:
    """Put `workcell` behind HTTP; the app connects it when it starts and leaves it holding still when it ends."""
    settings = settings or ServerSettings()
    context = ServerContext(workcell, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        _build_routes(app)
        await context.lanes.shutdown.run(workcell.connect)
        await context.lanes.shutdown.within(STOP_WAIT_S, "the stop at the start", context.stop_at_start)
        context.events.tell(Event("server_start", f"pid {os.getpid()}"))
        try:
            yield
        finally:
            await context.lanes.shutdown.within(STOP_WAIT_S, "the stop at the end", context.shutdown_stop)
            await context.lanes.shutdown.within(_DISCONNECT_WAIT_S, "the disconnection", workcell.disconnect)
            context.events.tell(Event("server_stop"))
            await context.lanes.shutdown.within(_DISCONNECT_WAIT_S, "the end of the audit log", context.close)

    app = FastAPI(
        title=f"robotkit: {workcell.name}",
        description=_DESCRIPTION,
        lifespan=lifespan,
        # Their pages load scripts from other hosts, which would then run beside the robot's own routes.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # Whoever does not follow a redirection would take one for a success.
        redirect_slashes=False,
        responses={status: {"model": ErrorReply} for status in sorted({*STATUS.values(), TOO_MANY_TOKENS})},
    )
    app.state.context = context
    app.state.connections = Connections(on_lost=context.control.connection_lost)
    add_error_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
    add_document(app)
    app.add_middleware(DirectWay, routers=ROUTERS)
    app.add_middleware(RequestGate, context=context)
    # The outer one: of whoever has no token no body is waited for.
    app.add_middleware(Guard, settings=settings, events=context.events)
    return app
