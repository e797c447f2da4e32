"""The route that gives control back."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from servers.access import ClientDep
from servers.context import ContextDep
from servers.routes.replies import DONE, done

router = APIRouter(prefix="/v1/control", tags=["control"])


@router.post("/release", **DONE)
async def release(context: ContextDep, client: ClientDep) -> Response:
    """End this client's control: the robot holds, and another client may command. Nothing happens without control."""
    await context.lanes.holds.run(context.control.release, client)
    return done()
