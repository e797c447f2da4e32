"""A client whose old connection is closed and whose next command has come is there: nothing of it ends."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import numpy as np
import pytest
from fastapi import FastAPI
from websockets.sync.client import connect

import robotkit as rk
from robotkit.schema.wire import CLIENT_HEADER
from servers import ServerSettings, control, create_app, turns
from servers.access import Client, Scope
from servers.arrivals import Arrivals, Departure
from servers.context import ServerContext
from servers.control import GONE
from servers.events import Event
from servers.runner import BackgroundServer
from servers.turns import Caller
from tests.support.waiting import wait_until

A = Client("key a", "anna")
KEY = {CLIENT_HEADER: "a"}


@pytest.fixture
def app() -> FastAPI:
    return create_app(rk.make_workcell("fake"), ServerSettings(port=0, lease_timeout_s=60.0))


@pytest.fixture
def context(app: FastAPI) -> Iterator[ServerContext]:
    context: ServerContext = app.state.context
    context.workcell.connect()
    yield context
    context.workcell.disconnect()


@pytest.fixture
def url(app: FastAPI) -> Iterator[str]:
    with BackgroundServer(app) as server:
        yield server.url


def _pose(cell: rk.Workcell) -> rk.PoseCommand:
    pose = cell.robot.get_state().tcp_pose_in_base.copy()
    pose[2] -= 0.01
    return rk.PoseCommand(tcp_pose_in_base=pose)


POINTS = ("before", "after it was looked", "as it stands", "when it stands", "as control ends", "after")


@pytest.mark.parametrize("point", POINTS)
def test_f17_a_command_of_a_client_that_is_back_is_neither_ended_nor_held(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    cell, ours, calls = context.workcell, context.control, []
    hold, send = cell.robot.hold, cell.robot.send
    monkeypatch.setattr(cell.robot, "hold", lambda: (calls.append("hold"), hold()))
    monkeypatch.setattr(cell.robot, "send", lambda command: (calls.append("send"), send(command))[1])
    errors: list[Exception] = []

    def command() -> None:
        try:
            with ours.acquire(A) as cell:
                cell.robot.send(_pose(cell))
        except rk.RobotkitError as error:
            errors.append(error)

    def arrives(connection: str = "new") -> threading.Thread:
        ours.arrivals.note(A, connection)
        thread = threading.Thread(target=command, daemon=True)
        thread.start()
        return thread

    threads = [arrives("old")]
    threads[0].join(20.0)
    ours.arrivals.note(A, "old")
    departure = ours.arrivals.lost("old")
    assert departure is not None
    is_back, make_stand, looks = ours.arrivals.is_back, control.make_stand, []

    def looked(departure: Departure) -> bool:
        looks.append(point)
        if point == "as control ends" and len(looks) == 3:
            threads.append(arrives())
        found = is_back(departure)
        if point == "after it was looked" and len(looks) == 1:
            threads.append(arrives())
        return found

    def stands(*args: object, **options: object) -> str:
        if point == "as it stands":
            threads.append(arrives())
            wait_until(lambda: len(context.turns._queue) == 2)
        words = make_stand(*args, **options)
        if point == "when it stands":
            threads.append(arrives())
        return words

    monkeypatch.setattr(ours.arrivals, "is_back", looked)
    monkeypatch.setattr(control, "make_stand", stands)
    if point == "before":
        threads.append(arrives())
        threads[-1].join(20.0)
    ours.release(A, GONE, departure)
    if point == "after":
        threads.append(arrives())
    threads[-1].join(20.0)
    assert len(threads) == 2
    assert errors == []
    assert calls[-1] == "send"
    assert cell.robot.get_state().mode == "tracking"
    assert context.lease.holder == A


COMMANDS = {
    "/v1/robot/command": "robot.send",
    "/v1/robot/joint_move": "robot.move_to_joint_positions",
    "/v1/gripper/move": "gripper.move",
    "/v1/steps": "send",
    "/v1/stream": "send",
}


def _body(cell: rk.Workcell, path: str) -> str:
    state = cell.robot.get_state()
    bodies: dict[str, object] = {
        "/v1/robot/joint_move": {"joint_positions_rad": state.joint_positions_rad.tolist()},
        "/v1/gripper/move": {"position": 1.0},
        "/v1/steps": {"command": _pose(cell).model_dump(mode="json")},
        "/v1/stream": {"type": "command", "command": _pose(cell).model_dump(mode="json")},
    }
    return json.dumps(bodies.get(path) or _pose(cell).model_dump(mode="json"))


def _ask(url: str, path: str, body: str, times: int) -> list[str]:
    """Command so many times over one connection; the last answers, as far as they are errors."""
    if path in ("/v1/steps", "/v1/stream"):
        with connect(url.replace("http", "ws") + path + "?rate_hz=50", additional_headers=KEY) as peer:
            for _ in range(times):
                peer.send(body)
                answers = [str(peer.recv(20.0)) for _ in range(1 if path == "/v1/steps" else 3)]
        return [answer for answer in answers if '"type":"error"' in answer]
    address = urlsplit(url)
    with closing(HTTPConnection(str(address.hostname), address.port, timeout=20.0)) as connection:
        for _ in range(times):
            connection.request("POST", path, body, KEY)
            response = connection.getresponse()
            answer = response.read().decode()
    return [] if response.status < 300 else [answer]


@pytest.mark.parametrize("path", COMMANDS)
def test_f17_the_departure_of_a_clients_old_connection_ends_nothing_that_came_over_the_new_one(
    url: str, app: FastAPI, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    context: ServerContext = app.state.context
    cell, told, held = context.workcell, [], []
    begun, may_go_on, over, acts, may_end = (threading.Event() for _ in range(5))
    release = context.control.release
    monkeypatch.setattr(turns, "_BRAKE_WAIT_S", 0.01)  # the release looks while the new command acts

    def late(*args: object) -> bool:
        begun.set()
        assert may_go_on.wait(20.0)
        released = release(*args)
        over.set()
        return released

    monkeypatch.setattr(context.control, "release", late)
    context.events.subscribe(told.append)
    assert _ask(url, path, _body(cell, path), 2) == []
    assert begun.wait(20.0)
    *owners, name = COMMANDS[path].split(".")
    owner = getattr(cell, owners[0]) if owners else cell
    call = getattr(owner, name)
    monkeypatch.setattr(cell.robot, "hold", lambda: held.append("hold"))
    monkeypatch.setattr(owner, name, lambda *given: (acts.set(), may_end.wait(20.0), call(*given))[-1])
    answers: list[str] = []
    asker = threading.Thread(target=lambda: answers.extend(_ask(url, path, _body(cell, path), 1)), daemon=True)
    asker.start()
    assert acts.wait(20.0)
    may_go_on.set()
    assert over.wait(20.0)
    assert held == []
    may_end.set()
    asker.join(20.0)
    assert not asker.is_alive()
    assert answers == []
    assert "hold" not in [event.kind for event in told]


def test_f17_a_connection_that_the_server_closes_because_it_is_idle_takes_control_from_nobody(
    url: str, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    context: ServerContext = app.state.context
    lost, connections = threading.Event(), app.state.connections
    on_lost = connections.on_lost
    monkeypatch.setattr(connections, "on_lost", lambda peer: (on_lost(peer), lost.set()))
    address = urlsplit(url)
    with closing(HTTPConnection(str(address.hostname), address.port, timeout=20.0)) as connection:
        for _ in range(2):
            connection.request("POST", "/v1/step", "{}", KEY)
            assert connection.getresponse().read()
        (here,) = connections._by_address.values()
        (idle,) = here
        idle.loop.call_soon_threadsafe(idle.timeout_keep_alive_handler)
        assert lost.wait(20.0)
        assert not context.control._tasks
        assert context.lease.holder == Client("key a", "")


HTTP, OTHER, SOCKET = "http", "other", "socket"


@pytest.mark.parametrize(
    ("arrived", "lost", "is_gone"),
    [
        ([HTTP], [HTTP], [False]),
        ([HTTP, OTHER], [HTTP, OTHER], [False, False]),
        ([HTTP, HTTP], [HTTP], [True]),
        ([HTTP, HTTP, OTHER], [HTTP, OTHER], [False, True]),
        ([HTTP, HTTP, OTHER], [OTHER, HTTP], [False, True]),
        ([HTTP, OTHER, HTTP, OTHER], [OTHER, HTTP], [True, True]),
        ([HTTP, OTHER, HTTP, OTHER], [HTTP, OTHER], [False, True]),
        ([SOCKET], [SOCKET], [True]),
        ([HTTP, SOCKET], [SOCKET, HTTP], [True, True]),
        ([SOCKET, HTTP], [SOCKET, HTTP], [False, True]),
        ([SOCKET, HTTP], [HTTP, SOCKET], [False, True]),
        ([SOCKET, HTTP, SOCKET], [SOCKET], [True]),
        ([HTTP, HTTP], [HTTP, HTTP], [True, False]),
        ([], [HTTP], [False]),
    ],
)
def test_f17_whose_connection_of_its_newest_command_is_closed_is_gone(
    arrived: list[str], lost: list[str], is_gone: list[bool]
) -> None:
    arrivals = Arrivals()
    for connection in arrived:
        arrivals.note(A, connection, 2 if connection == SOCKET else 1)
    assert [arrivals.lost(connection) is not None for connection in lost] == is_gone


def test_f17_connections_are_told_apart_by_their_clients_and_forgotten() -> None:
    arrivals, other = Arrivals(), Client("key a", "anna", scope=Scope.COMMAND)
    for connection in (1, 1):
        arrivals.note(A, connection)
    departure = arrivals.lost(1)
    assert departure == Departure(A, 2)
    arrivals.note(other, 1)
    assert not arrivals.is_back(departure)
    arrivals.note(A, 1)  # a connection that serves several clients is that of the last
    assert arrivals.is_back(departure)
    assert arrivals.lost(1) is None
    assert not arrivals._records
    assert not arrivals._record_of


def test_b9_who_is_back_while_the_arm_was_made_to_stand_is_told_as_held_and_keeps_control(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Event] = []
    with context.control.acquire(A) as cell:
        cell.robot.send(_pose(cell))
    context.events.subscribe(told.append)
    make_stand = control.make_stand

    def stands(*args: object, **options: object) -> str:
        context.control.arrivals.note(A, "new")
        return make_stand(*args, **options)

    monkeypatch.setattr(control, "make_stand", stands)
    assert not context.control.release(A, GONE, Departure(A, 0))
    assert [(event.kind, event.author, event.message) for event in told] == [("hold", "anna", GONE)]
    assert context.lease.holder == A


BESIDE: dict[str, Callable[[ServerContext, rk.Workcell], object]] = {
    "gripper": lambda context, cell: context.step(A, rk.StepRequest(gripper=rk.GripperCommand(position=0.0))),
    "clock": lambda context, cell: _advance(context),
    "compliance": lambda context, cell: context.set_compliance(A, rk.ComplianceParams()),
    "refused": lambda context, cell: context.step(A, rk.StepRequest(command=_far(cell))),
}


def _advance(context: ServerContext) -> None:
    with context.control.acquire(A) as cell:
        cell.clock.advance(0.001)


def _far(cell: rk.Workcell) -> rk.PoseCommand:
    return rk.PoseCommand(tcp_pose_in_base=cell.robot.get_state().tcp_pose_in_base + np.eye(7)[2])


@pytest.mark.parametrize("is_over", [False, True], ids=["waits", "over"])
@pytest.mark.parametrize("name", BESIDE)
def test_f17_an_arm_whose_stream_has_ended_holds_though_its_client_commands_something_else_by_then(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch, name: str, is_over: bool
) -> None:
    cell, ours, errors = context.workcell, context.control, []
    with ours.acquire(A):
        cell.robot.send(_pose(cell))
    ours.arrivals.note(A, "stream", 2)
    departure = ours.arrivals.lost("stream")

    def command() -> None:
        try:
            BESIDE[name](context, cell)
        except rk.RobotkitError as error:
            errors.append(error)

    ours.arrivals.note(A, "gripper")
    thread = threading.Thread(target=command, daemon=True)
    if is_over:
        thread.start()
        thread.join(20.0)
        assert cell.robot.machine.mode == "tracking"
        assert not ours.release(A, GONE, departure)
    else:
        with context.turns.turn(A, Caller()):
            thread.start()
            wait_until(lambda: len(context.turns._queue) == 2)
            monkeypatch.setattr(turns, "_BRAKE_WAIT_S", 0.0)
            assert not ours.release(A, GONE, departure)
        thread.join(20.0)
    assert not thread.is_alive()
    assert len(errors) == (name == "refused")
    assert cell.robot.machine.mode == "holding"
    assert context.lease.holder == A
