"""The route of the protocol versions that this server speaks."""

from __future__ import annotations

import time

from fastapi import APIRouter
from fastapi.responses import Response

from robotkit.schema.wire import PROTOCOL_NEWEST, PROTOCOL_OLDEST, ProtocolInfo
from servers import clock
from servers.routes.replies import answers, reply

router = APIRouter(prefix="/v1", tags=["cell"])


@router.get("/protocol", **answers(ProtocolInfo, "The same for every version of the protocol."))
async def get_protocol() -> Response:
    """The versions that this server speaks, and the time from which a client makes its deadlines."""
    return reply(
        ProtocolInfo(oldest=PROTOCOL_OLDEST, newest=PROTOCOL_NEWEST, now_s=time.monotonic(), clock=clock.CLOCK)
    )
