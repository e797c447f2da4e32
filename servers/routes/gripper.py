"""The routes of the gripper."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from robotkit.schema import GripperCommand, GripperState
from servers.context import ContextDep, gripper_of
from servers.routes import examples
from servers.routes.actions import act_on_gripper
from servers.routes.replies import DONE, answers, reply, request_body

router = APIRouter(prefix="/v1/gripper", tags=["gripper"])


@router.get("/state", **answers(GripperState, "The newest measurement."))
async def get_state(context: ContextDep) -> Response:
    """The newest measurement of the gripper."""
    return reply(await context.reads.device("the gripper", gripper_of(context.workcell).get_state))


@router.post("/move", **DONE, openapi_extra=request_body(GripperCommand, examples.GRIPPER))
async def move(request: Request) -> Response:
    """Start to move the fingers and return at once."""
    return await act_on_gripper(request, lambda gripper, command: gripper.move(command.position), GripperCommand)


@router.post("/open", **DONE)
async def open_fingers(request: Request) -> Response:
    """Start to open fully."""
    return await act_on_gripper(request, lambda gripper: gripper.open())


@router.post("/close", **DONE)
async def close_fingers(request: Request) -> Response:
    """Start to close fully."""
    return await act_on_gripper(request, lambda gripper: gripper.close())


@router.post("/activate", **DONE)
async def activate(request: Request) -> Response:
    """Make the gripper ready after power-up."""
    return await act_on_gripper(request, lambda gripper: gripper.activate())


@router.post("/reset", **DONE)
async def reset(request: Request) -> Response:
    """Clear faults and make it ready again, fingers open."""
    return await act_on_gripper(request, lambda gripper: gripper.reset())
