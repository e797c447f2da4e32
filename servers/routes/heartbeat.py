"""The route of the heartbeats that a client sends while a motion runs."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from servers.access import ClientDep
from servers.context import ContextDep
from servers.routes.replies import DONE, done

router = APIRouter(prefix="/v1/control", tags=["control"])


@router.post("/heartbeat", **DONE)
async def beat(context: ContextDep, client: ClientDep) -> Response:
    """Keep the promise that this client made with a request that still runs; see the header `X-Robotkit-Heartbeat`."""
    context.heartbeats.beat(client.key)
    return done()
