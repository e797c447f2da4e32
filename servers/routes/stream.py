"""The routes of the websockets."""

from __future__ import annotations

import math

from fastapi import APIRouter, WebSocket

from robotkit.errors import Busy, InvalidCommand, RobotkitError
from servers.access import Client, ClientDep, Scope
from servers.context import ContextDep, ServerContext
from servers.streaming import StateStream, StepChannel, error_text

router = APIRouter(prefix="/v1", tags=["stream"])

_POLICY_VIOLATION = 1008
_RATE_MIN_HZ = 0.1
_WINDOW_MAX = 1_000_000
_STREAMS_AT_FULL_RATE = 4
"""Number of streams at full rate that all streams together may take: a state costs time that commands and stops need
too."""
_SHARE_OF_READERS = 0.5
"""Share for those who may only read; the rest is for those who may command."""


@router.websocket("/stream")
async def stream(socket: WebSocket, context: ContextDep, client: ClientDep) -> None:
    """States down at `rate_hz`, commands up, newest wins both ways.

    A client that passes `window` acknowledges with `{"type": "ack", "seq": n}` and is never more than that many states
    behind; without it only the connection's own buffers bound the lag of a slow reader.
    """
    await socket.accept()
    try:
        rate_hz = _number(socket, "rate_hz", 50.0, _RATE_MIN_HZ, context.settings.stream_rate_max_hz)
        window = _number(socket, "window", 0.0, 0.0, _WINDOW_MAX)
        _require_room(context, client, rate_hz)
    except RobotkitError as error:
        await socket.send_text(error_text(error))
        await socket.close(_POLICY_VIOLATION)
        return
    context.streamed_hz[client.scope] += rate_hz
    try:
        await StateStream(socket, context, client, rate_hz, int(window)).run()
    finally:
        context.streamed_hz[client.scope] -= rate_hz


@router.websocket("/steps")
async def steps(socket: WebSocket, context: ContextDep, client: ClientDep) -> None:
    """`POST /v1/step` over a websocket: one numbered request up, one state or error with its number down."""
    await socket.accept()
    await StepChannel(socket, context, client).run()


def _number(socket: WebSocket, name: str, default: float, low: float, high: float) -> float:
    text = socket.query_params.get(name)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise InvalidCommand(f"{name} must be a number from {low:g} to {high:g}, not {(text or '')[:40]!r}")
    return value


def _require_room(context: ServerContext, client: Client, rate_hz: float) -> None:
    total_hz = _STREAMS_AT_FULL_RATE * context.settings.stream_rate_max_hz
    left_hz = total_hz - sum(context.streamed_hz.values())
    if client.scope < Scope.COMMAND:
        left_hz = min(left_hz, _SHARE_OF_READERS * total_hz - context.streamed_hz[client.scope])
    if rate_hz > left_hz:
        raise Busy(
            f"this server's streams have {left_hz:g} Hz left, {rate_hz:g} were asked; close one, or ask for less"
        )
