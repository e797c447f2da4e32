"""A client that left while the server was frozen: what it sent before is not carried out afterwards."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import SimpleNamespace
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from starlette.types import Scope
from websockets.sync.client import connect

import robotkit as rk
from robotkit.schema.wire import DEADLINE_HEADER
from servers import ServerSettings, create_app
from servers.access import SCOPE_KEY, Client
from servers.access import Scope as Rights
from servers.connections import CONNECTION, Peer
from servers.events import Event
from servers.gate import RequestGate
from servers.runner import BackgroundServer
from servers.streaming import StateStream
from tests.support.waiting import wait_until

POSE = [0.5, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0]
BODIES = {
    "/pose": {"arr": POSE},
    "/v1/robot/command": {"kind": "pose", "tcp_pose_in_base": POSE},
    "/v1/step": {"command": {"kind": "pose", "tcp_pose_in_base": POSE}},
    "/v1/robot/joint_move": {"joint_positions_rad": [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]},
    "/v1/robot/reset": None,
    "/v1/reset": {},
    "/jointreset": None,
    "/v1/gripper/close": None,
    "/close_gripper": None,
    "/v1/robot/compliance": {},
    "/update_param": {"translational_stiffness": 1000.0},
    "/v1/robot/recover": None,
}


@pytest.fixture
def cell() -> rk.Workcell:
    return rk.make_workcell("fake", clock="real")


@pytest.fixture
def carried_out(cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What arm and gripper were told."""
    told: list[str] = []
    assert cell.gripper is not None
    for name in ("send", "move_to_joint_positions", "reset", "set_compliance", "recover"):
        monkeypatch.setattr(cell.robot, name, lambda *_, name=name: told.append(name))
    for name in ("close", "move"):
        monkeypatch.setattr(cell.gripper, name, lambda *_, name=name: told.append(name))
    return told


@pytest.fixture
def app(cell: rk.Workcell) -> FastAPI:
    return create_app(cell, ServerSettings(port=0, lease_timeout_s=60.0))


@pytest.fixture
def server(app: FastAPI) -> Iterator[BackgroundServer]:
    with BackgroundServer(app) as server:
        yield server


@pytest.fixture
def refusals(app: FastAPI) -> list[str]:
    """The codes with which commands were refused."""
    codes: list[str] = []

    def note(event: Event) -> None:
        if event.kind in ("refused", "recover_failed"):
            codes.append(event.code)

    app.state.context.events.subscribe(note)
    return codes


@contextmanager
def frozen(server: BackgroundServer) -> Iterator[None]:
    """The event loop of the server does nothing inside, as that of a process that was suspended."""
    is_frozen, may_go_on = threading.Event(), threading.Event()

    def freeze() -> None:
        is_frozen.set()
        may_go_on.wait(20.0)

    server._server.servers[0].get_loop().call_soon_threadsafe(freeze)
    assert is_frozen.wait(20.0)
    try:
        yield
    finally:
        may_go_on.set()


@pytest.mark.parametrize("deadline", ["", f"{DEADLINE_HEADER}: 1e12\r\n"], ids=["without", "with"])
@pytest.mark.parametrize("path", BODIES)
def test_f9_what_a_client_sent_before_it_left_is_not_carried_out_after_a_freeze(
    server: BackgroundServer, carried_out: list[str], refusals: list[str], path: str, deadline: str
) -> None:
    address = urlsplit(server.url)
    body = BODIES[path]
    content = "" if body is None else json.dumps(body)
    length = f"Content-Length: {len(content)}\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\n{deadline}{length}\r\n"
    with closing(socket.create_connection((address.hostname, address.port))) as peer:
        peer.sendall(f"GET /v1/protocol HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        assert peer.recv(4096)  # the server reads
        with frozen(server):
            peer.sendall((head + content).encode())
            peer.close()
    wait_until(lambda: bool(refusals), 5.0)
    assert (refusals, carried_out) == (["connection_failed"], [])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v1/steps", BODIES["/v1/step"]),
        ("/v1/stream?rate_hz=1", {"type": "command", "command": BODIES["/v1/robot/command"]}),
    ],
)
@pytest.mark.parametrize("deadline", [{}, {"deadline_s": 1e12}])
@pytest.mark.parametrize("says_goodbye", [True, False])
def test_f9_messages_of_a_client_that_left_during_a_freeze_are_not_carried_out(
    server: BackgroundServer,
    carried_out: list[str],
    path: str,
    message: dict[str, object],
    deadline: dict[str, float],
    says_goodbye: bool,
) -> None:
    with connect(server.url.replace("http", "ws") + path, close_timeout=0.0) as peer, frozen(server):
        peer.send(json.dumps({**message, **deadline}))
        if says_goodbye:
            peer.protocol.send_close()
            peer.socket.sendall(b"".join(peer.protocol.data_to_send()))
        else:
            peer.socket.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: not server._server.server_state.tasks, 5.0)
    assert carried_out == []


def test_f9_a_peer_that_is_there_has_not_left() -> None:
    near, far = socket.socketpair()
    with closing(near), closing(far):
        peer = Peer(_Transport(near))
        assert not peer.has_left
        far.sendall(b"something unread")
        assert not peer.has_left
        far.close()
        assert peer.has_left


class _Transport:
    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer

    def get_extra_info(self, name: str) -> object:
        assert name == "socket"
        return self._peer


@pytest.mark.parametrize("said_goodbye", [False, True])
def test_f17_a_command_that_is_read_after_its_connection_was_closed_leaves_no_trace_of_it(
    app: FastAPI, said_goodbye: bool
) -> None:
    peer = Peer(SimpleNamespace(get_extra_info=lambda _: None))
    peer.said_goodbye = said_goodbye
    reached: list[str] = []

    async def route(scope: Scope, *_: object) -> None:
        reached.append(scope["path"])

    scope = {
        "type": "http", "method": "POST", "path": "/v1/robot/hold", "headers": [], "client": ("127.0.0.1", 1),
        "state": {CONNECTION: peer}, SCOPE_KEY: Rights.COMMAND,
    }  # fmt: skip
    asyncio.run(RequestGate(route, app.state.context)(scope, _never, _never))
    assert reached == ["/v1/robot/hold"]
    assert bool(app.state.context.control.arrivals._record_of) is not said_goodbye


async def _never(*_: object) -> NoReturn:
    raise AssertionError("nothing is read or answered")


def test_f9_a_stream_whose_end_was_read_has_left_before_anything_else_runs(app: FastAPI) -> None:
    """What it had sent could begin until then, because its other tasks are ended later."""
    ends = iter([{"type": "websocket.disconnect", "code": 1006}])

    async def receive() -> object:
        return next(ends)

    socket: Any = SimpleNamespace(receive=receive, headers={}, scope={})
    stream = StateStream(socket, app.state.context, Client("key", "left"), 100.0, 0)
    assert not stream._caller.is_gone
    asyncio.run(stream._receive())
    assert stream._caller.is_gone
