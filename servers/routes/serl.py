"""SERL's own routes: POST, the same paths, JSON and texts, so that a SERL client runs unchanged.

Source: `serl_robot_infra/robot_servers/franka_server.py`, and from HIL-SERL's version `getpos_euler`, `set_load` and
`close_gripper_slow`. Different on purpose: SERL's client clears errors before every pose, which here clears neither a
stop nor a fault; a load is compared with the one that the cell file sets.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import TypeAdapter
from scipy.spatial.transform import Rotation

from robotkit.devices import BaseGripperServer
from robotkit.errors import DeviceFault, RobotStopped
from robotkit.schema import PoseCommand, RobotState
from robotkit.workcell import Workcell
from servers import bounded
from servers.access import Client, ClientDep
from servers.context import ContextDep, ServerContext, get_context, gripper_of
from servers.routes import examples
from servers.routes.actions import act, act_on_gripper
from servers.routes.replies import request_body
from servers.serl import (
    GripperRequest,
    LoadRequest,
    Number,
    PoseRequest,
    check_load,
    compliance_from_serl,
    gripper_from_serl,
    gripper_to_serl,
)

router = APIRouter(tags=["serl"])
text = HTMLResponse
_TEXT: dict[str, Any] = {
    "response_class": Response,  # not `text`: refusals are JSON
    "responses": {200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
}
_PARAMETERS = TypeAdapter(dict[str, Number])


def _json(**fields: Any) -> Response:
    """The bytes that SERL's server would send: sorted keys, compact, a newline at the end."""
    content = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in fields.items()}
    body = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return Response(body + "\n", media_type="application/json")


async def _measured(context: ServerContext, fields: Callable[[RobotState], dict[str, Any]]) -> Response:
    """Answer what `fields` takes from one measurement, beside whatever the cell is doing."""
    return _json(**fields(await context.reads.arm()))


def _exerted_wrench(state: RobotState) -> np.ndarray:
    """Wrench (6,) in SERL's sign: libfranka's estimate is what the arm exerts on the environment."""
    return 0.0 - state.wrench_in_tcp  # not its negative, which would send -0.0


async def _gripper_position(context: ServerContext) -> float:
    """Measure the gripper's position in SERL's unit."""
    state = await context.reads.device("the gripper", gripper_of(context.workcell).get_state)
    return gripper_to_serl(state, context.settings.serl_gripper)


@router.post("/getpos")
async def getpos(context: ContextDep) -> Response:
    """Tool pose: position, quaternion xyzw."""
    return await _measured(context, lambda state: {"pose": state.tcp_pose_in_base})


@router.post("/getpos_euler")
async def getpos_euler(context: ContextDep) -> Response:
    """Tool pose: position, Euler angles about the fixed axes x, y, z."""
    return await _measured(context, lambda state: {"pose": _euler(state.tcp_pose_in_base)})


def _euler(pose: np.ndarray) -> np.ndarray:
    return np.concatenate([pose[:3], Rotation.from_quat(pose[3:]).as_euler("xyz")])


@router.post("/getvel")
async def getvel(context: ContextDep) -> Response:
    """Tool twist in the base frame."""
    return await _measured(context, lambda state: {"vel": state.tcp_twist_in_base})


@router.post("/getforce")
async def getforce(context: ContextDep) -> Response:
    """Force of the tool on the environment, in the tool frame."""
    return await _measured(context, lambda state: {"force": _exerted_wrench(state)[:3]})


@router.post("/gettorque")
async def gettorque(context: ContextDep) -> Response:
    """Torque of the tool on the environment, in the tool frame."""
    return await _measured(context, lambda state: {"torque": _exerted_wrench(state)[3:]})


@router.post("/getq")
async def getq(context: ContextDep) -> Response:
    """Joint positions."""
    return await _measured(context, lambda state: {"q": state.joint_positions_rad})


@router.post("/getdq")
async def getdq(context: ContextDep) -> Response:
    """Joint velocities."""
    return await _measured(context, lambda state: {"dq": state.joint_velocities_rad_s})


@router.post("/getjacobian")
async def getjacobian(context: ContextDep) -> Response:
    """Jacobian in the base frame."""
    return await _measured(context, lambda state: {"jacobian": state.jacobian_in_base})


@router.post("/get_gripper")
async def get_gripper(context: ContextDep) -> Response:
    """Gripper position in the server's `GripperUnit`."""
    return _json(gripper=await _gripper_position(context))


@router.post("/getstate")
async def getstate(context: ContextDep) -> Response:
    """Return everything at once, from one measurement."""
    # Of a cell without a gripper 0, which is what SERL's client assumes before it has asked.
    position = 0 if context.workcell.gripper is None else await _gripper_position(context)
    return await _measured(context, lambda state: _everything(state) | {"gripper_pos": position})


def _everything(state: RobotState) -> dict[str, Any]:
    return {
        "pose": state.tcp_pose_in_base,
        "vel": state.tcp_twist_in_base,
        "force": _exerted_wrench(state)[:3],
        "torque": _exerted_wrench(state)[3:],
        "q": state.joint_positions_rad,
        "dq": state.joint_velocities_rad_s,
        "jacobian": state.jacobian_in_base,
    }


@router.post("/startimp", **_TEXT)
async def startimp(context: ContextDep) -> Response:
    """The impedance law always runs here; this only says whether the arm would follow it."""
    _require_following(await context.reads.arm())
    return text("Started impedance")


def _require_following(state: RobotState) -> None:
    if state.mode == "stopped":
        raise RobotStopped("a stop is latched; when the cell is clear, a person recovers it on the operator's page")
    if state.mode == "fault":
        raise DeviceFault(f"the arm is in a fault ({', '.join(state.faults)}); a person recovers it")


@router.post("/stopimp", **_TEXT)
async def stopimp(context: ContextDep, client: ClientDep) -> Response:
    """Hold the measured pose, also in the middle of a joint reset; unlike `/v1/robot/stop` nothing is latched."""
    await bounded.hold(context, client)
    return text("Stopped impedance")


@router.post("/jointreset", **_TEXT)
async def jointreset(request: Request) -> Response:
    """Move to the reset configuration; answers on arrival."""
    await act(request, lambda cell: cell.robot.reset(), is_motion=True)
    return text("Reset Joint")


@router.post("/clearerr", **_TEXT)
async def clearerr(context: ContextDep) -> Response:
    """Accept and count the request (see `/v1/health`); it clears nothing."""
    context.serl_clear_requests += 1
    return text("Clear")


@router.post("/pose", openapi_extra=request_body(PoseRequest, examples.SERL_POSE), **_TEXT)
async def pose(request: Request) -> Response:
    """Set a new tool pose."""
    await act(request, _send_pose, PoseRequest)
    return text("Moved")


def _send_pose(cell: Workcell, body: PoseRequest) -> None:
    cell.robot.send(PoseCommand.unchecked(kind="pose", tcp_pose_in_base=body.arr))


@router.post("/update_param", openapi_extra=request_body(dict[str, Number], examples.SERL_PARAM), **_TEXT)
async def update_param(request: Request, context: ContextDep, client: ClientDep) -> Response:
    """Change single parameters of the impedance law, under SERL's names; the others stay."""
    await context.lanes.commands.run(_update_param, context, client, await request.body())
    return text("Updated compliance parameters")


def _update_param(context: ServerContext, client: Client, content: bytes) -> None:
    changes = context.parse_command(client, _PARAMETERS, content)
    context.change_compliance(client, lambda present: compliance_from_serl(present, changes))


@router.post("/set_load", openapi_extra=request_body(LoadRequest, examples.SERL_LOAD), **_TEXT)
async def set_load(request: Request) -> Response:
    """Check that the arm carries the load that the cell file says."""
    await act(request, lambda cell, body: check_load(body, cell.robot.config), LoadRequest)
    return text("Set Load")


@router.post("/activate_gripper", **_TEXT)
async def activate_gripper(request: Request) -> Response:
    """Make the gripper ready."""
    await act_on_gripper(request, lambda gripper: gripper.activate())
    return text("Activated")


@router.post("/reset_gripper", **_TEXT)
async def reset_gripper(request: Request) -> Response:
    """Reset and activate the gripper."""
    await act_on_gripper(request, lambda gripper: gripper.reset())
    return text("Reset")


@router.post("/open_gripper", **_TEXT)
async def open_gripper(request: Request) -> Response:
    """Start to open."""
    await act_on_gripper(request, lambda gripper: gripper.open())
    return text("Opened")


@router.post("/close_gripper", **_TEXT)
async def close_gripper(request: Request) -> Response:
    """Start to close."""
    await act_on_gripper(request, lambda gripper: gripper.close())
    return text("Closed")


@router.post("/close_gripper_slow", **_TEXT)
async def close_gripper_slow(request: Request) -> Response:
    """Start to close, at the speed that the cell file gives the gripper; there is no slower one."""
    return await close_gripper(request)


@router.post("/move_gripper", openapi_extra=request_body(GripperRequest, examples.SERL_GRIPPER), **_TEXT)
async def move_gripper(request: Request) -> Response:
    """Start to move to a position in SERL's unit."""
    unit = (await get_context(request)).settings.serl_gripper

    def move(gripper: BaseGripperServer, body: GripperRequest) -> None:
        gripper.move(gripper_from_serl(body.gripper_pos, gripper.spec, unit))

    await act_on_gripper(request, move, GripperRequest)
    return text("Moved Gripper")
