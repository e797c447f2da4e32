"""The routes of the whole cell: its specification, its state, one control step, its reset, its clock."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import TypeAdapter

from robotkit.schema import CellSpec, CellState, ResetRequest, StepRequest
from robotkit.schema.wire import ClockAdvanceRequest, ClockState
from robotkit.workcell import Workcell
from servers.access import Client, client_of
from servers.context import ContextDep, ServerContext, get_context
from servers.routes import examples
from servers.routes.actions import act, look
from servers.routes.replies import answers, reply, request_body

_STEP = TypeAdapter(StepRequest)

router = APIRouter(prefix="/v1", tags=["cell"])


@router.post(
    "/step",
    **answers(CellState, "Measured after `period_s`; `accepted` is the command as it was taken."),
    openapi_extra=request_body(StepRequest, examples.STEP),
)
async def step(request: Request) -> Response:
    """Send commands, let `period_s` pass, measure: a whole control step in one round trip."""
    context, client = await get_context(request), await client_of(request)
    return await context.lanes.commands.run(_step, context, client, await request.body())


def _step(context: ServerContext, client: Client, body: bytes) -> Response:
    return reply(context.step(client, context.parse_command(client, _STEP, body)))


@router.get("/cell", **answers(CellSpec, "Enough for a client to build its twin."))
async def get_cell(context: ContextDep) -> Response:
    """The specification of the cell."""
    return await look(context, Workcell.spec)


@router.get("/state", **answers(CellState, "Robot, gripper and tracked objects."))
async def get_state(context: ContextDep) -> Response:
    """The newest measurement of everything but the cameras."""
    return reply(await context.reads.cell())


@router.post(
    "/reset",
    **answers(CellState, "Measured after the reset."),
    openapi_extra=request_body(ResetRequest, examples.RESET),
)
async def reset(request: Request) -> Response:
    """Bring the cell to its start; answers when it is there."""
    return await act(request, _reset, ResetRequest, is_motion=True)


def _reset(cell: Workcell, request: ResetRequest) -> CellState:
    return cell.reset(request.seed, request.object_poses_in_base)


@router.get("/clock", **answers(ClockState, "Seconds on the cell's clock."))
async def get_clock(context: ContextDep) -> Response:
    """The cell's time."""
    return await look(context, _clock_state)


@router.post(
    "/clock/advance",
    **answers(ClockState, "The time afterwards."),
    openapi_extra=request_body(ClockAdvanceRequest, examples.CLOCK),
)
async def advance_clock(request: Request) -> Response:
    """Let time pass: in lock-step the world is simulated for exactly that long."""
    return await act(request, _advance, ClockAdvanceRequest)


def _advance(cell: Workcell, request: ClockAdvanceRequest) -> ClockState:
    cell.clock.advance(request.period_s)
    return _clock_state(cell)


def _clock_state(cell: Workcell) -> ClockState:
    return ClockState(now_s=cell.clock.now_s(), is_lockstep=cell.clock.is_lockstep)
