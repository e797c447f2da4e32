"""The cell as a whole: what it has, its state, one control step, its start, its clock."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from robotkit.schema import CellSpec, CellState, ResetRequest, StepRequest
from robotkit.schema.wire import CLIENT_HEADER, ClockAdvanceRequest, ClockState
from robotkit.workcell import Workcell
from servers.context import ClientDep, ContextDep, ServerContext, client_name, get_context
from servers.routes import examples
from servers.routes.replies import answers, reply, request_body

router = APIRouter(prefix="/v1", tags=["cell"])


@router.get("/cell", **answers(CellSpec, "Enough for a client to build its twin."))
def get_cell(context: ContextDep) -> Response:
    """What the cell has."""
    return reply(context.workcell.spec())


@router.get("/state", **answers(CellState, "Robot, gripper and tracked objects."))
def get_state(context: ContextDep) -> Response:
    """The newest measurement of everything but the cameras."""
    return reply(context.workcell.get_state())


@router.post(
    "/step",
    **answers(CellState, "Measured after `period_s`; `accepted` is the command as it was taken."),
    openapi_extra=request_body(StepRequest, examples.STEP),
)
async def step(request: Request) -> Response:
    """Send commands, let `period_s` pass, measure: a whole control step in one round trip."""
    # The one route that a control loop lives on parses its own request: FastAPI's parameters would cost it 0.2 ms.
    context, client = await get_context(request), await client_name(request, request.headers.get(CLIENT_HEADER))
    return await run_in_threadpool(_step, context, client, await request.body())


def _step(context: ServerContext, client: str, body: bytes) -> Response:
    return reply(context.step(client, body))


@router.post("/reset", **answers(CellState, "Measured after the reset."))
def reset(
    context: ContextDep, client: ClientDep, request: Annotated[ResetRequest, Body(openapi_examples=examples.RESET)]
) -> Response:
    """Bring the cell to its start; answers when it is there."""
    with context.commanding(client) as cell:
        return reply(cell.reset(request.seed, request.object_poses_in_base))


@router.get("/clock", **answers(ClockState, "Seconds on the cell's clock."))
def get_clock(context: ContextDep) -> Response:
    """The cell's time."""
    return reply(_clock_state(context.workcell))


@router.post("/clock/advance", **answers(ClockState, "The time afterwards."))
def advance_clock(
    context: ContextDep,
    client: ClientDep,
    request: Annotated[ClockAdvanceRequest, Body(openapi_examples=examples.CLOCK)],
) -> Response:
    """Let time pass: in lock-step the world is simulated for exactly that long."""
    with context.commanding(client) as cell:
        cell.clock.advance(request.period_s)
        return reply(_clock_state(cell))


def _clock_state(cell: Workcell) -> ClockState:
    return ClockState(now_s=cell.clock.now_s(), is_lockstep=cell.clock.is_lockstep)
