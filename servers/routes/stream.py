"""The websockets."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, WebSocket

from robotkit.errors import InvalidCommand
from servers.access import ClientDep
from servers.context import ContextDep
from servers.streaming import StateStream, StepChannel, error_text

router = APIRouter(prefix="/v1", tags=["stream"])

_POLICY_VIOLATION = 1008


@router.websocket("/stream")
async def stream(
    socket: WebSocket,
    context: ContextDep,
    client: ClientDep,
    rate_hz: Annotated[float, Query(gt=0.0)] = 50.0,
    window: Annotated[int, Query(ge=0)] = 0,
) -> None:
    """States down at `rate_hz`, commands up, newest wins both ways.

    A client that passes `window` acknowledges with `{"type": "ack", "seq": n}` and is never more than that many states
    behind; without it only the connection's own buffers bound the lag of a slow reader.
    """
    await socket.accept()
    rate_max_hz = context.settings.stream_rate_max_hz
    if rate_hz > rate_max_hz:
        error = InvalidCommand(f"rate_hz = {rate_hz:g} is above this server's {rate_max_hz:g} Hz")
        await socket.send_text(error_text(error))
        await socket.close(_POLICY_VIOLATION)
        return
    await StateStream(socket, context, client, rate_hz, window).run()


@router.websocket("/steps")
async def steps(socket: WebSocket, context: ContextDep, client: ClientDep) -> None:
    """`POST /v1/step` over a websocket: one `StepRequest` up, one state or error down."""
    await socket.accept()
    await StepChannel(socket, context, client).run()
