"""How a server begins and ends: where it listens, what a signal does at once, and what a call that hangs delays."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

import robotkit as rk
from servers import ServerSettings, create_app, runner
from servers.lanes import Lane
from servers.runner import BackgroundServer, CellServer, bind, url_of


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:"), ("0.0.0.0", "http://127.0.0.1:"), ("::1", "http://[::1]:"),
     ("::", "http://[::1]:")],
)  # fmt: skip
def test_a_client_on_this_machine_is_told_an_address_that_it_can_reach(host: str, url: str) -> None:
    with closing(bind(host, 0)) as bound:
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        told = url_of(bound, ServerSettings())
        assert told.startswith(url)
        with socket.create_connection((told.split("//")[1].rsplit(":", 1)[0].strip("[]"), bound.getsockname()[1])):
            pass


def test_a_port_in_use_leaves_no_socket_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []
    new = socket.socket
    with closing(bind("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(socket, "socket", lambda *kind: made.append(new(*kind)) or made[-1])
        with pytest.raises(rk.InvalidConfiguration, match=r"in use.*--port"):
            bind("127.0.0.1", taken.getsockname()[1])
    assert [one.fileno() for one in made] == [-1]


def test_a_name_that_nobody_knows_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*asked: object, **more: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(rk.InvalidConfiguration, match="cannot listen on 'nowhere': Name or service not known"):
        bind("nowhere", 0)


@pytest.fixture
def cell() -> rk.Workcell:
    return rk.make_workcell("fake")


@pytest.fixture
def app(cell: rk.Workcell) -> FastAPI:
    return create_app(cell, ServerSettings(port=0))


@pytest.mark.parametrize("exit_s", [5.0, None])
def test_f9_a_signal_lets_no_command_start_and_gives_the_process_its_time_once(
    app: FastAPI, exit_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_s: list[float] = []
    monkeypatch.setattr(runner, "end_within", given_s.append)
    server = CellServer(app, exit_s)
    assert not app.state.context.turns.is_closed
    for _ in range(2):
        server.handle_exit(signal.SIGINT, None)
        assert app.state.context.turns.is_closed
        assert server.should_exit
        assert not server.force_exit
    assert given_s == ([] if exit_s is None else [exit_s])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # uvicorn ends with SystemExit
def test_a_server_that_cannot_connect_its_devices_does_not_start_and_leaves_its_port(
    app: FastAPI, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unplugged() -> None:
        raise rk.NotConnected("unplugged")

    monkeypatch.setattr(cell.robot, "connect", unplugged)
    server = BackgroundServer(app)
    with pytest.raises(rk.ConnectionFailed, match=rf"{server.url} did not start"):
        server.start()
    with closing(bind("127.0.0.1", httpx.URL(server.url).port)):
        pass


def test_a_server_that_takes_too_long_to_start_is_said_to(
    app: FastAPI, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()
    connect = cell.connect
    monkeypatch.setattr(cell, "connect", lambda: (may_go_on.wait(20.0), connect()))
    server = BackgroundServer(create_app(cell, ServerSettings(port=0)))
    with pytest.raises(rk.ConnectionFailed, match="did not start"):
        server.start(timeout_s=0.05)
    may_go_on.set()
    server._thread.join(20.0)
    assert not server._thread.is_alive()
    assert not cell.is_connected
    server.stop()


def test_the_last_stop_is_given_once(app: FastAPI, cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch) -> None:
    stops: list[tuple[str, ...]] = []
    stop = cell.robot.stop_for
    monkeypatch.setattr(cell.robot, "stop_for", lambda *why: (stops.append(why), stop(*why)))
    with BackgroundServer(app):
        pass
    assert stops == [("the server is shutting down", "robotkit-serve")]


@pytest.fixture
def order(cell: rk.Workcell, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to the arm, one after the other."""
    done: list[str] = []
    stop, disconnect = cell.robot.stop_for, cell.robot.disconnect
    monkeypatch.setattr(cell.robot, "stop_for", lambda *why: (done.append("stop"), stop(*why)))
    monkeypatch.setattr(cell.robot, "disconnect", lambda: (done.append("disconnect"), disconnect()))
    return done


def test_f9_the_arm_is_stopped_before_requests_are_waited_for(
    app: FastAPI, cell: rk.Workcell, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait_for_requests(server: CellServer, sockets: object) -> None:
        order.append("requests")

    monkeypatch.setattr(uvicorn.Server, "shutdown", wait_for_requests)
    with cell:
        asyncio.run(CellServer(app).shutdown())
        assert order == ["stop", "requests"]


def test_f9_by_whatever_server_an_app_is_run_the_arm_is_stopped_before_it_is_disconnected(
    app: FastAPI, cell: rk.Workcell, order: list[str]
) -> None:
    async def live() -> None:
        async with app.router.lifespan_context(app):
            assert cell.is_connected

    asyncio.run(live())
    assert order == ["stop", "disconnect"]
    assert not cell.is_connected


def test_a_call_that_hangs_is_left_behind_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    may_end = threading.Event()

    def disconnect() -> None:
        may_end.wait(20.0)

    async def both() -> None:
        await Lane(1).within(0.01, "the disconnection", disconnect)
        await Lane(1).within(20.0, "nothing", lambda: None)
        may_end.set()

    asyncio.run(both())
    assert [record.getMessage() for record in caplog.records] == [
        "the disconnection did not end within 0.01 s: a device hangs"
    ]


def test_a_lane_is_as_wide_as_it_says() -> None:
    inside, most = [], []

    def work(may_end: threading.Barrier) -> None:
        inside.append(1)
        most.append(len(inside))
        may_end.wait(20.0)
        inside.pop()

    async def six() -> None:
        lane, barrier = Lane(3), threading.Barrier(3)
        await asyncio.gather(*(lane.run(work, barrier) for _ in range(6)))

    asyncio.run(six())
    assert max(most) == 3


def test_the_log_of_a_cell_can_be_read_by_its_group_alone(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with BackgroundServer(create_app(rk.make_workcell("fake"), ServerSettings(port=0, audit=path))):
        pass
    assert path.stat().st_mode & 0o137 == 0
