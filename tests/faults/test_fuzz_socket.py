"""Mutated requests and messages over real sockets, with stops in between; and clients that flood and vanish."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Coroutine, Iterator
from contextlib import closing, suppress
from itertools import islice
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import robotkit as rk
from servers import ServerSettings, create_app
from servers.context import ServerContext
from servers.gate import MAX_BODY_BYTES
from servers.turns import QUEUE_LENGTH
from tests.faults.fuzz import BODIES, MESSAGES, ODD_METHODS, ODD_QUERIES, Mutant, mutants, odd_headers
from tests.faults.fuzz_model import is_answered
from tests.faults.fuzz_peers import ANSWER_TIME_S, OWN_HEADERS, Line, call, headers_with, opened, running
from tests.serving import served

STOP_S = 1.0
_LINES = 4
_KEY = b"x-robotkit-client: fuzz"


@pytest.fixture(scope="module")
def cell() -> rk.Workcell:
    return rk.make_workcell("fake", clock="real")


@pytest.fixture(scope="module")
def url(cell: rk.Workcell) -> Iterator[str]:
    with served(cell, ServerSettings(lease_timeout_s=60.0)) as running_at:
        yield running_at


class Stops:
    """Stops the arm over and over, on a connection of its own, and looks where it is."""

    def __init__(self, cell: rk.Workcell) -> None:
        self._cell = cell
        self.home = cell.robot.get_state().joint_positions_rad.tolist()
        self.took_s: list[float] = []

    async def run(self, line: Line) -> None:
        """Until it is cancelled."""
        while True:
            await self.one(line)
            await asyncio.sleep(0.02)

    async def one(self, line: Line) -> None:
        """One stop."""
        start_s = time.monotonic()
        answer = await line.ask(b"POST /v1/robot/stop HTTP/1.1\r\nhost: localhost\r\n" + _KEY, b"")
        self.took_s.append(time.monotonic() - start_s)
        assert answer.status == 204
        state = self._cell.robot.get_state()
        assert (state.mode, state.joint_positions_rad.tolist()) == ("stopped", self.home)


async def _beside_stops(url: str, cell: rk.Workcell, *work: Coroutine[None, None, None]) -> None:
    stops = Stops(cell)
    with closing(Line(url)) as line:
        await stops.one(line)
        stopping = asyncio.create_task(stops.run(line))
        try:
            async with asyncio.TaskGroup() as group:
                for one in work:
                    group.create_task(one)
        finally:
            stopping.cancel()
        with suppress(asyncio.CancelledError):
            await stopping
    with closing(Line(url)) as line:
        await stops.one(line)
    assert max(stops.took_s) < STOP_S, sorted(stops.took_s)[-5:]


def _head(draw: random.Random, path: str) -> tuple[bytes, bool]:
    """The head of a request, and whether its answer has a body."""
    if draw.random() < 0.5:
        return f"POST {path} HTTP/1.1\r\nhost: localhost\r\n".encode() + _KEY, True
    method = draw.choice(ODD_METHODS)
    query = draw.choice(ODD_QUERIES)
    lines = [f"{method} {path}".encode() + (b"?" + query if query else b"") + b" HTTP/1.1"]
    lines += [name + b": " + value for name, value in headers_with(odd_headers(draw))]
    head = b"\r\n".join(lines)
    if draw.random() < 0.3:
        place = draw.randrange(len(head))
        head = head[:place] + draw.randbytes(1) + head[place + 1 :]
    return head, not head.startswith(b"HEAD ")


async def _talk(url: str, count: int, seed: int) -> None:
    draw = random.Random(seed)
    with closing(Line(url)) as line:
        for mutant in islice(mutants(BODIES, seed), count):
            head, has_body = _head(draw, mutant.path)
            answer = await line.ask(head, mutant.content, has_body)
            assert answer.status != 500, (head, mutant, answer)
            if answer.status >= 400 and has_body:
                assert answer.code, (head, mutant, answer)


async def _message(url: str, path: str, count: int, seed: int) -> None:
    """Messages over websockets: each is answered, accepted in silence, or ends its connection with a code."""
    address = url.replace("http", "ws") + path + "?rate_hz=1"
    todo = iter([one for one in islice(mutants({path: MESSAGES[path]}, seed), count) if _has_answer(one) is not None])
    is_over = False
    while not is_over:
        async with connect(address, proxy=None, additional_headers={"X-Robotkit-Client": "fuzz"}) as socket:
            is_over = await _messages(socket, todo)


async def _messages(socket: ClientConnection, todo: Iterator[Mutant]) -> bool:
    """Send until the connection ends, which only what is no text, or too large, may do; True when all are sent."""
    before: Mutant | None = None
    for mutant in todo:
        try:
            await socket.send(mutant.content, text=not mutant.is_binary)
            if not _has_answer(mutant):
                before = mutant
                continue
            answer = await _answer(socket, "error" if mutant.path == "/v1/stream" else "")
        except ConnectionClosed as closed:
            end = closed.rcvd
            break
        assert answer["type"] == "state" or answer["code"] != "robotkit_error", (mutant, answer)
        before = mutant
    else:
        return True
    assert end is not None, mutant
    # One that gets no answer may have ended it, which the next one's sending finds.
    ended_by = {1009 if len(one.content) > MAX_BODY_BYTES else 1007 for one in (before, mutant) if one is not None}
    assert end.code in ended_by, (before, mutant, end)
    return False


async def _answer(socket: ClientConnection, wanted: str) -> dict[str, Any]:
    while True:
        answer: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), ANSWER_TIME_S))
        if wanted in ("", answer["type"]):
            return answer


def _has_answer(mutant: Mutant) -> bool | None:
    return len(mutant.content) > MAX_BODY_BYTES or is_answered(mutant.path, mutant.content)


def test_f5_mutated_requests_over_sockets_beside_stops(url: str, cell: rk.Workcell) -> None:
    asyncio.run(_beside_stops(url, cell, *(_talk(url, 1000, seed) for seed in range(_LINES))))


def test_f5_mutated_messages_over_sockets_beside_stops(url: str, cell: rk.Workcell) -> None:
    asyncio.run(_beside_stops(url, cell, *(_message(url, path, 1000, seed=5) for path in sorted(MESSAGES))))


@pytest.mark.slow
def test_f5_long_campaign_over_sockets(url: str, cell: rk.Workcell) -> None:
    work = [_talk(url, 25_000, seed) for seed in range(100, 100 + _LINES)]
    asyncio.run(_beside_stops(url, cell, *work, *(_message(url, path, 25_000, seed=6) for path in sorted(MESSAGES))))


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "//", "null"])
def test_f5_an_origin_that_is_no_address_is_refused(url: str, origin: str) -> None:
    async def run() -> None:
        head = f"POST /v1/robot/hold HTTP/1.1\r\nhost: localhost\r\norigin: {origin}".encode()
        with closing(Line(url)) as line:
            answer = await line.ask(head, b"")
        assert (answer.status, answer.code) == (401, "unauthorized")
        with pytest.raises(InvalidStatus) as refused:
            await connect(url.replace("http", "ws") + "/v1/steps", proxy=None, origin=origin)  # type: ignore[arg-type]
        assert refused.value.response.status_code == 401

    asyncio.run(run())


@pytest.mark.parametrize("version", [b"\xb2", b"\xb9\xb3", b"two", b"", b"9" * 5000])
@pytest.mark.parametrize("path", ["/v1/steps", "/v1/stream"])
def test_f5_a_version_that_is_no_number_commands_nothing(path: str, version: bytes) -> None:
    async def run() -> None:
        app = create_app(rk.make_workcell("fake"))
        headers = headers_with([(b"x-robotkit-protocol", version)])
        async with running(app), opened(app, path, headers) as socket:
            assert (await socket.receive())["type"] == "websocket.accept"
            command = BODIES["/v1/robot/command"][0]
            kind = {} if path == "/v1/steps" else {"type": "command"}
            socket.send(json.dumps({"command": command} | kind).encode(), is_binary=False)
            assert (await socket.answer("error"))["code"] == "protocol_error"

    asyncio.run(run())


def test_f17_a_client_that_floods_and_vanishes_ends_its_step() -> None:
    async def run() -> float:
        app = create_app(rk.make_workcell("fake", clock="real"))
        context: ServerContext = app.state.context
        async with running(app):
            async with opened(app, "/v1/steps") as socket:
                assert (await socket.receive())["type"] == "websocket.accept"
                socket.send(b'{"period_s": 10.0}', is_binary=False)
                while not context.turns._queue:
                    await asyncio.sleep(0.001)
                socket.is_broken = True
                start_s = time.monotonic()
                for _ in range(QUEUE_LENGTH + 1):
                    socket.send(b'{"period_s": 10.0}', is_binary=False)
                while context.lease.holder is not None:
                    await asyncio.sleep(0.001)
            assert (await call(app, "POST", "/v1/robot/hold", headers=OWN_HEADERS)).status == 204
            return time.monotonic() - start_s

    assert asyncio.run(run()) < 8.0
