"""Being heard from while a motion runs."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from robotkit.schema.wire import CLIENT_HEADER
from servers.context import ContextDep
from servers.routes.replies import DONE, done

router = APIRouter(prefix="/v1/control", tags=["control"])


@router.post("/heartbeat", **DONE)
async def beat(request: Request, context: ContextDep) -> Response:
    """Keep the promise that this client made with a request that still runs; see the header `X-Robotkit-Heartbeat`."""
    context.heartbeats.beat(request.headers.get(CLIENT_HEADER, ""))
    return done()
