"""`CLOCK`: the name of this process's clock, by which a deadline for another server is recognised."""

from __future__ import annotations

import uuid

from starlette.types import Message, Send

from robotkit.errors import CommandExpired
from robotkit.schema.wire import CLOCK_HEADER

CLOCK = uuid.uuid4().hex[:12]
_NAME = CLOCK_HEADER.lower().encode()


def require_own_clock(clock: str | None) -> None:
    """Refuse a deadline of another server's time: after a restart of the machine it may lie hours ahead.

    Args:
        clock: whose time it is; None: the client does not say.

    Raises:
        CommandExpired: it is that of another server, or of this one before it was started anew.
    """
    if clock is not None and clock != CLOCK:
        raise CommandExpired(
            "the command was not carried out: its deadline is in the time of another server, or of this one before its "
            "last start. Ask GET /v1/protocol, and send a new command, made from a fresh state"
        )


def told_by(send: Send) -> Send:
    """`send`, with the clock's name in the headers of the answer."""

    async def tell(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.accept"):
            message["headers"] = [*message.get("headers", ()), (_NAME, CLOCK.encode())]
        await send(message)

    return tell
