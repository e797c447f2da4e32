"""The arm."""

from __future__ import annotations

from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Body
from fastapi.responses import Response

from robotkit.schema import ComplianceParams, PoseCommand, RobotCommand, RobotState
from robotkit.schema.wire import JointMoveRequest
from servers.context import ClientDep, ContextDep
from servers.routes import examples
from servers.routes.replies import DONE, answers, done, reply

router = APIRouter(prefix="/v1/robot", tags=["robot"])


@router.get("/state", **answers(RobotState, "The newest measurement."))
def get_state(context: ContextDep) -> Response:
    """The newest measurement of the arm."""
    return reply(context.workcell.robot.get_state())


@router.post("/command", **answers(PoseCommand, "The command as it was accepted, of the kind that was sent."))
def send_command(
    context: ContextDep, client: ClientDep, command: Annotated[RobotCommand, Body(openapi_examples=examples.COMMAND)]
) -> Response:
    """Set a new target and return at once; the latest one wins."""
    with context.commanding(client) as cell:
        return reply(cell.robot.send(command))


@router.post("/joint_move", **DONE)
def move_to_joint_positions(
    context: ContextDep,
    client: ClientDep,
    request: Annotated[JointMoveRequest, Body(openapi_examples=examples.JOINT_MOVE)],
) -> Response:
    """Move along a joint path; answers when the arm has arrived and settled."""
    with context.commanding(client) as cell:
        cell.robot.move_to_joint_positions(request.joint_positions_rad)
    return done()


@router.post("/compliance", **DONE)
def set_compliance(
    context: ContextDep,
    client: ClientDep,
    params: Annotated[ComplianceParams, Body(openapi_examples=examples.COMPLIANCE)],
) -> Response:
    """Change the impedance law, also while moving; fields that are left out take their defaults."""
    context.set_compliance(client, params)
    return done()


@router.post("/hold", **DONE)
def hold(context: ContextDep, client: ClientDep) -> Response:
    """Make the measured pose the target, wherever it is; nothing is latched."""
    with context.commanding(client) as cell:
        cell.robot.hold()
    return done()


@router.post("/reset", **DONE)
def reset(context: ContextDep, client: ClientDep) -> Response:
    """Move to the cell's reset joint configuration; answers on arrival."""
    with context.commanding(client) as cell:
        cell.robot.reset()
    return done()


@router.post("/stop", **DONE)
async def stop(context: ContextDep) -> Response:
    """Hold still now and refuse commands until `recover`. Anyone may, at any time."""
    # A limiter of its own: a stop never waits for a worker thread that a long motion occupies.
    await to_thread.run_sync(context.workcell.robot.stop, limiter=CapacityLimiter(1))
    return done()


@router.post("/recover", **DONE)
def recover(context: ContextDep) -> Response:
    """Clear a stop or a fault, when a person asks; the arm then holds its measured pose."""
    context.workcell.robot.recover()
    return done()
