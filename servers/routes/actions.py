"""`act`, `act_on_gripper` and `look`: calls of a route to the cell, in threads and never on the event loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import TypeAdapter

from robotkit.schema import Message
from robotkit.workcell import Workcell
from servers.access import Client, client_of
from servers.context import ServerContext, get_context, gripper_of
from servers.routes.replies import done, reply

Action = Callable[..., Message | None]
"""Takes the cell, and the parsed body when there is one; returns what is answered."""

_adapter = cache(TypeAdapter)


async def act(request: Request, action: Action, body: Any = None, is_motion: bool = False) -> Response:
    """Carry out a command in its turn.

    Args:
        request: where it came from.
        action: what to do.
        body: type of the body; None: the request has none.
        is_motion: True for a command that returns when the arm has arrived.
    """
    return await _carry_out(request, action, body, is_motion, True)


async def act_on_gripper(request: Request, action: Action, body: Any = None) -> Response:
    """`act` for a command of the gripper alone, which it takes also while the arm is stopped.

    Args:
        request: where it came from.
        action: what to do; takes the gripper in place of the cell.
        body: type of the body; None: the request has none.
    """
    return await _carry_out(request, lambda cell, *given: action(gripper_of(cell), *given), body, False, False)


async def _carry_out(request: Request, action: Action, body: Any, is_motion: bool, commands_arm: bool) -> Response:
    context = await get_context(request)
    client = await client_of(request)
    content = await request.body() if body is not None else None
    return await context.lanes.commands.run(_act, context, client, action, body, content, is_motion, commands_arm)


async def look(context: ServerContext, read: Callable[[Workcell], Message]) -> Response:
    """Answer what `read` finds without a measurement, while the cell does other work."""
    return await context.lanes.reads.run(lambda: reply(read(context.workcell)))


def _act(
    context: ServerContext,
    client: Client,
    action: Action,
    body: Any,
    content: bytes | None,
    is_motion: bool,
    commands_arm: bool,
) -> Response:
    given = () if content is None else (context.parse_command(client, _adapter(body), content),)
    with context.control.acquire(client, is_motion, commands_arm=commands_arm) as cell:
        answer = action(cell, *given)
    return done() if answer is None else reply(answer)
