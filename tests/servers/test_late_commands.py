"""No command that waits in a server while a stop, a recovery or a hold comes is carried out after it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

import robotkit as rk
from servers import ServerSettings, create_app
from servers.access import Client, key_of
from servers.context import ServerContext, gripper_of
from servers.turns import CURRENT_CALLER, Caller

A, B, PERSON = Client(key_of("a", ""), "anna"), Client("b", "bert"), Client("p", "person")


def _stop(context: ServerContext) -> None:
    context.stop(PERSON)


def _recover(context: ServerContext) -> None:
    context.recover(PERSON)


def _stop_and_recover(context: ServerContext) -> None:
    context.stop(PERSON)
    context.recover(PERSON)


def _hold(context: ServerContext) -> None:
    context.control.hold_now(A)


EVENTS = {"stop": _stop, "recovery": _recover, "stop and recovery": _stop_and_recover, "hold": _hold}
CODES = {"stop": "robot_stopped"}


@pytest.fixture
def app() -> FastAPI:
    cell = rk.make_workcell("fake")
    cell.connect()
    return create_app(cell, ServerSettings())


@pytest.fixture
def context(app: FastAPI) -> ServerContext:
    context: ServerContext = app.state.context
    return context


def _pose(cell: rk.Workcell) -> rk.PoseCommand:
    pose = cell.robot.get_state().tcp_pose_in_base.copy()
    pose[2] -= 0.01
    return rk.PoseCommand(tcp_pose_in_base=pose)


def _goal_rad(cell: rk.Workcell) -> np.ndarray:
    goal_rad = cell.robot.get_state().joint_positions_rad.copy()
    goal_rad[5] += 0.1
    return goal_rad


def _bodies(cell: rk.Workcell) -> dict[str, object]:
    command = _pose(cell).model_dump(mode="json")
    return {
        "/v1/robot/command": command,
        "/v1/step": {"command": command, "period_s": 0.1},
        "/v1/robot/joint_move": {"joint_positions_rad": _goal_rad(cell).tolist()},
        "/v1/robot/reset": None,
        "/v1/robot/compliance": {"translational_stiffness_n_m": 1500.0},
        "/v1/reset": {},
        "/v1/clock/advance": {"period_s": 0.1},
        "/v1/gripper/move": {"position": 0.0},
        "/v1/gripper/close": None,
        "/v1/gripper/activate": None,
        "/pose": {"arr": command["tcp_pose_in_base"]},
        "/jointreset": None,
        "/close_gripper": None,
        "/update_param": {"translational_stiffness": 1500.0},
    }


PATHS = list(_bodies(rk.make_workcell("fake").__enter__()))
GRIPPER_PATHS = [path for path in PATHS if "gripper" in path]
"""Of these a stop that is still latched refuses nothing."""
LATE = [(path, event) for path in PATHS for event in EVENTS if not (event == "stop" and path in GRIPPER_PATHS)]


def _late(context: ServerContext, event: Callable[[ServerContext], None], patch: pytest.MonkeyPatch) -> None:
    """Each request waits for a thread until `event` has come."""
    run = context.lanes.commands.run

    async def after_the_event(work: Callable[..., Any], *args: Any) -> object:
        copy_context().run(_as_another, event, context)
        return await run(work, *args)

    patch.setattr(context.lanes.commands, "run", after_the_event)


def _as_another(event: Callable[[ServerContext], None], context: ServerContext) -> None:
    CURRENT_CALLER.set(Caller())
    event(context)


async def _answer_of(app: FastAPI, path: str, message: str) -> dict[str, Any]:
    """The first answer to a message over a websocket that is no state of a stream."""
    answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    unread = [{"type": "websocket.receive", "text": message}, {"type": "websocket.connect"}]
    is_over = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not unread:
            await is_over.wait()
            return {"type": "websocket.disconnect", "code": 1000}
        return unread.pop()

    async def send(sent: Any) -> None:
        if sent["type"] == "websocket.send":
            answers.put_nowait(json.loads(sent["text"]))

    headers = [(b"host", b"127.0.0.1"), (b"x-robotkit-client", b"a")]
    scope: dict[str, Any] = {"type": "websocket", "scheme": "ws", "path": path, "query_string": b"", "headers": headers}
    scope |= {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "root_path": "", "subprotocols": [], "state": {}}
    serving = asyncio.create_task(app(scope, receive, send))
    while (answer := await asyncio.wait_for(answers.get(), 20.0))["type"] == "state" and path == "/v1/stream":
        pass
    is_over.set()
    await serving
    return answer


def _facts(cell: rk.Workcell) -> list[object]:
    """What a command could change."""
    state = cell.get_state()
    assert state.gripper is not None
    now_s = cell.clock.now_s()
    return [state.robot.joint_positions_rad.tolist(), state.gripper.position, cell.robot.compliance, now_s]


@pytest.mark.parametrize(("path", "event"), LATE)
def test_r1_what_was_asked_for_before_a_stop_a_recovery_or_a_hold_is_not_carried_out_after_it(
    app: FastAPI, context: ServerContext, monkeypatch: pytest.MonkeyPatch, path: str, event: str
) -> None:
    cell = context.workcell
    body = _bodies(cell)[path]
    before = _facts(cell)
    _late(context, EVENTS[event], monkeypatch)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
            return await http.post(path, json=body, headers={"X-Robotkit-Client": "a"})

    reply = asyncio.run(ask())
    assert (reply.status_code, reply.json()["code"]) == (409, CODES.get(event, "target_replaced"))
    assert _facts(cell) == before
    monkeypatch.undo()
    if event != "stop":
        assert asyncio.run(ask()).is_success


@pytest.mark.parametrize("path", GRIPPER_PATHS)
def test_f4_a_stop_that_comes_while_a_command_of_the_gripper_waits_is_no_reason_to_refuse_it(
    app: FastAPI, context: ServerContext, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    body = _bodies(context.workcell)[path]
    _late(context, _stop, monkeypatch)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
            return await http.post(path, json=body, headers={"X-Robotkit-Client": "a"})

    assert asyncio.run(ask()).is_success


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("socket", ["/v1/steps", "/v1/stream"])
def test_r1_a_message_that_was_read_before_is_not_obeyed_after_it(
    app: FastAPI, context: ServerContext, monkeypatch: pytest.MonkeyPatch, socket: str, event: str
) -> None:
    before = _facts(context.workcell)
    message: dict[str, object] = {"type": "command", "command": _pose(context.workcell).model_dump(mode="json")}
    if socket == "/v1/steps":
        message = {"seq": 1, "command": message["command"], "period_s": 0.1}
    _late(context, EVENTS[event], monkeypatch)
    answer = asyncio.run(_answer_of(app, socket, json.dumps(message)))
    assert (answer["type"], answer["code"]) == ("error", CODES.get(event, "target_replaced"))
    assert _facts(context.workcell) == before


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("name", ["send", "move", "reset"])
def test_r1_what_comes_between_the_turn_and_the_arm_counts_too(context: ServerContext, name: str, event: str) -> None:
    cell = context.workcell
    command, goal_rad = _pose(cell), _goal_rad(cell)
    calls: dict[str, Callable[[], object]] = {
        "send": lambda: cell.robot.send(command),
        "move": lambda: cell.robot.move_to_joint_positions(goal_rad),
        "reset": lambda: cell.robot.reset(),
    }
    before = _facts(cell)

    def act() -> None:
        with context.control.acquire(A):
            EVENTS[event](context)
            calls[name]()

    with pytest.raises(rk.RobotStopped if event == "stop" else rk.TargetReplaced):
        act()
    assert _facts(cell) == before


@pytest.mark.parametrize("event", EVENTS)
def test_r1_what_comes_while_the_arm_is_made_to_stand_for_a_new_client_counts_too(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    context.step(A, rk.StepRequest())
    context.lease.release(A)
    stand = context.control._make_stand

    def while_it_happens(client: Client, why: str, **options: bool) -> None:
        stand(client, why, **options)
        context.workcell.robot.machine.note_hold() if event == "hold" else EVENTS[event](context)

    monkeypatch.setattr(context.control, "_make_stand", while_it_happens)
    with pytest.raises(rk.RobotStopped if event == "stop" else rk.TargetReplaced), context.control.acquire(B) as cell:
        gripper_of(cell).close()
    assert gripper_of(context.workcell).get_state().position == 1.0


@pytest.mark.parametrize("seen", ["", "1", "1,2", "1,2,x", "1,2,-3", "1,2,3,4", "1,2," + "9" * 400])
def test_r1_what_a_client_says_to_have_seen_is_a_state(app: FastAPI, context: ServerContext, seen: str) -> None:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
            return await http.post("/v1/gripper/close", headers={"X-Robotkit-Seen": seen})

    before = _facts(context.workcell)
    reply = asyncio.run(ask())
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_command")
    for socket, message in (("/v1/steps", {"seq": 1}), ("/v1/stream", {"type": "command"})):
        text = json.dumps({**message, "gripper": {"position": 0.0}, "seen": seen})
        assert asyncio.run(_answer_of(app, socket, text))["code"] == "invalid_command"
    assert _facts(context.workcell) == before


def test_r1_the_hold_of_a_take_over_does_not_count_against_the_command_that_takes_over(context: ServerContext) -> None:
    context.step(A, rk.StepRequest(command=_pose(context.workcell)))
    context.lease.release(A)
    command = _pose(context.workcell)
    token = CURRENT_CALLER.set(Caller(moment=context.moments.now))
    try:
        assert context.step(B, rk.StepRequest(command=command)).accepted == command
    finally:
        CURRENT_CALLER.reset(token)
