"""A recovery undoes no stop that came after its request, however long it has waited, whoever asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

import robotkit as rk
from servers import ServerSettings, create_app
from servers.access import Client, Scope
from servers.context import ServerContext
from servers.runner import BackgroundServer

PERSON, PROGRAM = Client("q", "person"), Client("p", "program", scope=Scope.COMMAND)


@pytest.fixture
def context() -> ServerContext:
    cell = rk.make_workcell("fake")
    cell.connect()
    return ServerContext(cell, ServerSettings())


def test_b9_a_stop_that_comes_while_the_request_waits_for_a_thread_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(rk.make_workcell("fake"), ServerSettings())
    context: ServerContext = app.state.context
    context.workcell.connect()
    context.workcell.robot.stop_for("the first", "somebody")
    run = context.lanes.recover.run

    async def after_a_stop(work: Callable[..., Any], *args: Any) -> object:
        context.stop(PERSON)
        return await run(work, *args)

    monkeypatch.setattr(context.lanes.recover, "run", after_a_stop)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
            return await http.post("/v1/robot/recover")

    reply = asyncio.run(ask())
    assert (reply.status_code, reply.json()["code"]) == (409, "robot_stopped")
    assert context.workcell.robot.get_state().mode == "stopped"


def test_b9_an_operators_stop_between_the_question_and_the_recovery_stays(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    context.stop(PROGRAM)
    recover = context.workcell.robot.recover

    def after_a_stop(stops_seen: int) -> None:
        monkeypatch.undo()
        context.stop(PERSON)
        recover(stops_seen)

    monkeypatch.setattr(context.workcell.robot, "recover", after_a_stop)
    with pytest.raises(rk.RobotStopped):
        context.recover(PROGRAM)
    assert context.workcell.robot.get_state().mode == "stopped"
    with pytest.raises(rk.Forbidden, match="person"):
        context.recover(PROGRAM)
    context.recover(PERSON)


def test_b9_health_tells_how_many_stops_had_come_also_of_an_arm_that_cannot_be_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = create_app(rk.make_workcell("fake"), ServerSettings())
    robot = app.state.context.workcell.robot
    app.state.context.workcell.connect()

    def fail() -> rk.RobotState:
        robot.stop_for("while it is looked at", "somebody")
        raise rk.StaleState("the arm is silent")

    monkeypatch.setattr(robot, "get_state", fail)

    async def ask() -> int | None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
            return (await http.get("/v1/health")).json()["stops"]

    assert [asyncio.run(ask()) for _ in range(2)] == [0, 1]


def _recover_over_http(app: FastAPI, query: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
            return await http.post("/v1/robot/recover" + query)

    return asyncio.run(ask())


def test_b9_a_recovery_that_tells_what_its_author_has_seen_undoes_no_stop_since() -> None:
    app = create_app(rk.make_workcell("fake"), ServerSettings())
    cell: rk.Workcell = app.state.context.workcell
    cell.connect()
    cell.robot.stop_for("the first", "somebody")
    seen = cell.robot.get_state().stops
    cell.robot.stop_for("the second, while the request is under way", "somebody else")
    reply = _recover_over_http(app, f"?stops_seen={seen}")
    assert (reply.status_code, reply.json()["code"]) == (409, "robot_stopped")
    assert cell.robot.get_state().mode == "stopped"
    seen = cell.robot.get_state().stops
    assert _recover_over_http(app, f"?stops_seen={seen}").status_code == 204
    assert cell.robot.get_state().mode == "holding"
    assert _recover_over_http(app, "?stops_seen=x").status_code == 422
    cell.robot.stop_for("the third", "somebody")
    assert _recover_over_http(app, "").status_code == 204


REFUSALS: dict[str, tuple[str, int, str]] = {
    "of a healthy arm, by the number of a server before": ("?stops_seen=99", 422, "invalid_command"),
    "of a healthy arm, by a number before a stop that was recovered": ("?stops_seen=0", 409, "robot_stopped"),
    "during a joint motion": ("", 409, "command_rejected"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_r1_a_recovery_that_is_refused_takes_nothing_away_that_others_have_asked_for(
    monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    app = create_app(rk.make_workcell("fake"), ServerSettings())
    context: ServerContext = app.state.context
    context.workcell.connect()
    context.workcell.robot.stop()
    context.recover(PERSON)
    before = context.moments.now
    if case == "during a joint motion":
        monkeypatch.setattr(context.workcell.robot.machine, "activity", "travelling")
    query, status, code = REFUSALS[case]
    reply = _recover_over_http(app, query)
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert context.moments.now == before
    monkeypatch.undo()
    assert _recover_over_http(app, "").status_code == 204
    assert before is not None
    assert context.moments.now == before._replace(holds=before.holds + 1)


def test_b9_a_recovery_that_has_seen_more_stops_than_have_come_is_told_why(context: ServerContext) -> None:
    context.stop(PERSON)
    with pytest.raises(rk.InvalidCommand, match=r"1 stops have come .*, and not 2: .*started anew"):
        context.recover(PERSON, 2)
    assert context.workcell.robot.get_state().mode == "stopped"


def test_r1_who_recovers_knows_of_the_recovery_and_of_nothing_that_came_beside_it(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    context.stop(PERSON)
    assert context.recover(PERSON) == context.moments.now == (1, 1, 0)
    assert context.recover(PERSON) == context.moments.now == (1, 1, 1)
    recover = context.workcell.robot.recover
    monkeypatch.setattr(
        context.workcell.robot, "recover", lambda seen: (recover(seen), context.control.hold_now(PERSON))
    )
    assert context.recover(PERSON) is None


@pytest.mark.parametrize(
    ("query", "body"), [("?stop_seen=0", b""), ("?stops_seen=1&force=1", b""), ("", b'{"stops_seen": 0}'), ("", b"{")]
)
def test_b9_a_recovery_that_asks_for_what_is_not_known_recovers_nothing(query: str, body: bytes) -> None:
    server = BackgroundServer(create_app(rk.make_workcell("fake"), ServerSettings(port=0)))
    with server, httpx.Client(base_url=server.url, trust_env=False) as http:
        http.post("/v1/robot/stop")
        refused = http.post("/v1/robot/recover" + query, content=body)
        assert refused.status_code == 422
        assert "takes ?stops_seen=NUMBER and nothing else" in refused.text
        assert http.get("/v1/robot/state").json()["mode"] == "stopped"
        assert http.post("/v1/robot/recover?stops_seen=1", json={}).status_code == 204
