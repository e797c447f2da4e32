"""The routes of the arm."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import TypeAdapter

from robotkit.errors import InvalidCommand
from robotkit.schema import ComplianceParams, PoseCommand, RobotCommand, RobotState
from robotkit.schema.wire import STOP_HEADER, JointMoveRequest
from robotkit.workcell import Workcell
from servers import bounded
from servers.access import Client, ClientDep
from servers.context import ContextDep, ServerContext
from servers.errors import error_response, reported
from servers.routes import examples
from servers.routes.actions import act
from servers.routes.replies import DONE, answers, done, reply, request_body
from servers.seen import headers_of, seen_with
from servers.turns import CURRENT_CALLER

_COMPLIANCE = TypeAdapter(ComplianceParams)
_NUMBER_DIGITS = 18
_SAYS_NOTHING = (b"", b"{}", b"null")
"""Bodies of clients that always send one."""

router = APIRouter(prefix="/v1/robot", tags=["robot"])


@router.get("/state", **answers(RobotState, "The newest measurement."))
async def get_state(context: ContextDep) -> Response:
    """The newest measurement of the arm."""
    return reply(await context.reads.arm())


@router.post(
    "/command",
    **answers(PoseCommand, "The command as it was accepted, of the kind that was sent."),
    openapi_extra=request_body(RobotCommand, examples.COMMAND),
)
async def send_command(request: Request) -> Response:
    """Set a new target and return at once; the latest one wins."""
    return await act(request, lambda cell, command: cell.robot.send(command), RobotCommand)


@router.post("/joint_move", **DONE, openapi_extra=request_body(JointMoveRequest, examples.JOINT_MOVE))
async def move_to_joint_positions(request: Request) -> Response:
    """Move along a joint path; answers when the arm has arrived and settled."""
    return await act(request, _move_to_joint_positions, JointMoveRequest, is_motion=True)


def _move_to_joint_positions(cell: Workcell, request: JointMoveRequest) -> None:
    cell.robot.move_to_joint_positions(request.joint_positions_rad)


@router.post("/compliance", **DONE, openapi_extra=request_body(ComplianceParams, examples.COMPLIANCE))
async def set_compliance(request: Request, context: ContextDep, client: ClientDep) -> Response:
    """Change the impedance law, also while moving; fields that are left out stay as they are."""
    content = await request.body()
    await context.lanes.commands.run(_set_compliance, context, client, content)
    return done()


def _set_compliance(context: ServerContext, client: Client, content: bytes) -> None:
    context.set_compliance(client, context.parse_command(client, _COMPLIANCE, content))


@router.post("/hold", **DONE)
async def hold(context: ContextDep, client: ClientDep) -> Response:
    """Make the measured pose the target, wherever it is; ends a blocking motion; nothing is latched."""
    asked_at = CURRENT_CALLER.get().moment
    try:
        holds = await bounded.hold(context, client)
    except Exception as error:  # also one that does not succeed ends what was asked for before
        headers = headers_of(seen_with(context.moments.newest_holds_of(client), asked_at))
        return error_response(reported(error), headers=headers)
    return done(headers_of(seen_with(holds, asked_at)))


@router.post("/reset", **DONE)
async def reset(request: Request) -> Response:
    """Move to the cell's reset joint configuration; answers on arrival."""
    return await act(request, lambda cell: cell.robot.reset(), is_motion=True)


@router.post("/stop/", **DONE, include_in_schema=False)
@router.post("/stop", **DONE)
async def stop(request: Request, context: ContextDep, client: ClientDep) -> Response:
    """Hold still now and refuse commands until `recover`. Anyone may, at any time."""
    stop_id = request.headers.get(STOP_HEADER)
    seen = await context.stop_copies.once(client, stop_id, lambda: context.lanes.stop.run(context.stop, client))
    return done(headers_of(seen))


@router.post("/recover", **DONE)
async def recover(request: Request, context: ContextDep, client: ClientDep) -> Response:
    """Clear a stop or a fault, when a person asks; the arm then holds its measured pose.

    With `?stops_seen=`, the number of `stops` in the state that the person has seen, a stop that came since stays. What
    else is asked for is refused: it was meant to say something that would not be kept.
    """
    others = sorted(set(request.query_params) - {"stops_seen"})
    if others or (await request.body()).strip() not in _SAYS_NOTHING:
        said = f"the query {others[0][:40]!r}" if others else "a body"
        raise InvalidCommand(
            f"a recovery takes ?stops_seen=NUMBER and nothing else, not {said}; the arm was not recovered"
        )
    stops_seen = _number_of_stops(request.query_params.get("stops_seen"))
    return done(headers_of(await bounded.recover(context, client, stops_seen)))


def _number_of_stops(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _NUMBER_DIGITS):
        raise InvalidCommand(f"stops_seen must be the number of stops in a state of the arm, not {text[:40]!r}")
    return int(text)
