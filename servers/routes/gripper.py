"""The gripper."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.responses import Response

from robotkit.schema import GripperCommand, GripperState
from servers.context import ClientDep, ContextDep
from servers.routes import examples
from servers.routes.replies import DONE, answers, done, reply

router = APIRouter(prefix="/v1/gripper", tags=["gripper"])


@router.get("/state", **answers(GripperState, "The newest measurement."))
def get_state(context: ContextDep) -> Response:
    """The newest measurement of the gripper."""
    return reply(context.gripper().get_state())


@router.post("/move", **DONE)
def move(
    context: ContextDep, client: ClientDep, command: Annotated[GripperCommand, Body(openapi_examples=examples.GRIPPER)]
) -> Response:
    """Start to move the fingers and return at once."""
    with context.commanding(client):
        context.gripper().move(command.position)
    return done()


@router.post("/open", **DONE)
def open_fingers(context: ContextDep, client: ClientDep) -> Response:
    """Start to open fully."""
    with context.commanding(client):
        context.gripper().open()
    return done()


@router.post("/close", **DONE)
def close_fingers(context: ContextDep, client: ClientDep) -> Response:
    """Start to close fully."""
    with context.commanding(client):
        context.gripper().close()
    return done()


@router.post("/activate", **DONE)
def activate(context: ContextDep, client: ClientDep) -> Response:
    """Make the gripper ready after power-up."""
    with context.commanding(client):
        context.gripper().activate()
    return done()


@router.post("/reset", **DONE)
def reset(context: ContextDep, client: ClientDep) -> Response:
    """Clear faults and make it ready again, fingers open."""
    with context.commanding(client):
        context.gripper().reset()
    return done()
