"""Mutated bodies and messages: no internal error, no motion, no growth, and a stop is answered all the while."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import psutil
import pytest
from fastapi import FastAPI

import robotkit as rk
from servers import ServerSettings, create_app
from servers.context import ServerContext
from servers.routes import ROUTERS
from tests.faults.fuzz import (
    BODIES,
    MESSAGES,
    ODD_METHODS,
    ODD_QUERIES,
    Mutant,
    mutants,
    odd_headers,
)
from tests.faults.fuzz_model import CHECKS, is_answered, is_valid
from tests.faults.fuzz_peers import Answer, Socket, call, headers_with, opened, running

STOP_S = 1.0
"""A stop is answered within this time; a loaded machine included."""
GROWTH_MAX_MIB = 16.0
_ROUND = 2000
_PLAIN_REFUSALS = {401, 403, 404, 405, 409, 413, 422, 501, 502, 503}


class Campaign:
    """An app without a socket around a fake arm, what was answered, and where the arm stood before."""

    def __init__(self) -> None:
        self.cell = rk.make_workcell("fake")
        self.app: FastAPI = create_app(self.cell, ServerSettings(lease_timeout_s=60.0))
        self.context: ServerContext = self.app.state.context
        self.answers: Counter[int] = Counter()
        self.messages = 0
        self.stop_s: list[float] = []
        self.memory_mib: list[float] = []

    def note(self, mutant: Mutant, answer: Answer) -> None:
        """Count an answer; none is an internal error, and each refusal has the one form."""
        self.answers[answer.status] += 1
        if answer.status >= 300:
            assert answer.status in _PLAIN_REFUSALS, (mutant, answer)
            assert answer.code

    async def stop(self) -> None:
        """Stop the arm, beside whatever else is sent."""
        start_s = time.monotonic()
        answer = await call(self.app, "POST", "/v1/robot/stop")
        self.stop_s.append(time.monotonic() - start_s)
        assert answer.status == 204

    def require_rest(self, mode: str) -> None:
        """Check that the arm is where it was, and note the memory."""
        state = self.cell.robot.get_state()
        assert state.mode == mode
        assert state.joint_positions_rad.tolist() == self.cell.robot.spec.reset_joint_positions_rad.tolist()
        gc.collect()
        self.memory_mib.append(psutil.Process().memory_info().rss / 2**20)

    def require_no_growth(self) -> None:
        """Check what the rounds have left behind: no memory, no waiting command, no stream, no slow stop."""
        warm = len(self.memory_mib) // 3
        assert self.memory_mib[-1] - self.memory_mib[warm] < GROWTH_MAX_MIB, self.memory_mib
        assert not self.context.turns._queue
        assert set(self.context.streamed_hz.values()) == {0.0}
        assert max(self.stop_s) < STOP_S, self.stop_s


def _rounds(messages: Iterator[Mutant], count: int) -> Iterator[list[Mutant]]:
    """`count` mutants, a round at a time."""
    while batch := list(islice(messages, min(_ROUND, count))):
        count -= len(batch)
        yield batch


@pytest.fixture
def campaign() -> Campaign:
    return Campaign()


def _require_lawful(mutant: Mutant, answer: Answer) -> None:
    may_be = is_valid(mutant.path, mutant.content)
    assert may_be or answer.status >= 400, (mutant, answer)
    assert not (may_be and answer.status == 422), (mutant, answer)


def test_f5_every_route_with_a_body_is_in_the_corpus() -> None:
    document = create_app(rk.make_workcell("fake")).openapi()["paths"]
    with_body = {path for path, methods in document.items() if "requestBody" in methods.get("post", {})}
    sockets = {route.path for router in ROUTERS for route in router.routes if not hasattr(route, "methods")}
    assert (with_body, sockets) == (set(BODIES), set(MESSAGES))
    assert with_body | sockets == set(CHECKS)


def test_f5_the_corpus_is_valid(campaign: Campaign) -> None:
    async def run() -> None:
        async with running(campaign.app):
            for mutant in islice(mutants(BODIES, seed=0), 1000):
                answer = await call(campaign.app, "POST", mutant.path, mutant.content)
                _require_lawful(mutant, answer)
                campaign.answers[answer.status] += 1

    asyncio.run(run())
    assert campaign.answers[200] > 20
    assert campaign.answers[204] > 20


def _bodies_at_a_stopped_arm(campaign: Campaign, count: int, seed: int) -> None:
    async def run() -> None:
        async with running(campaign.app):
            for batch in _rounds(mutants(BODIES, seed), count):
                await campaign.stop()
                for mutant in batch:
                    answer = await call(campaign.app, "POST", mutant.path, mutant.content)
                    campaign.note(mutant, answer)
                    _require_lawful(mutant, answer)
                campaign.require_rest("stopped")

    asyncio.run(run())
    campaign.require_no_growth()
    assert sum(campaign.answers.values()) == count
    assert campaign.answers[422] > count / 4


def _bodies_at_an_arm_that_listens(campaign: Campaign, count: int, seed: int) -> None:
    """Everything but valid commands: they are all refused."""

    async def run() -> None:
        async with running(campaign.app):
            invalid = (one for one in mutants(BODIES, seed) if not is_valid(one.path, one.content))
            for batch in _rounds(invalid, count):
                for mutant in batch:
                    answer = await call(campaign.app, "POST", mutant.path, mutant.content)
                    campaign.note(mutant, answer)
                    assert answer.status in (413, 422), (mutant, answer)
                campaign.require_rest("holding")
                await campaign.stop()
                assert (await call(campaign.app, "POST", "/v1/robot/recover")).status == 204

    asyncio.run(run())
    campaign.require_no_growth()
    assert sum(campaign.answers.values()) == count


def _odd_requests(campaign: Campaign, count: int, seed: int) -> None:
    """Headers, queries, methods and paths that make no sense, at a stopped arm."""
    draw = random.Random(seed)
    # A recovery is what a stopped arm may be asked for.
    paths = [path for path in campaign.app.openapi()["paths"] if path != "/v1/robot/recover"] + [
        "/",
        "/nothing",
        "/v1/",
    ]

    async def run() -> None:
        async with running(campaign.app):
            for batch in _rounds(mutants(BODIES, seed), count):
                await campaign.stop()
                for mutant in batch:
                    path = draw.choice([mutant.path, draw.choice(paths).replace("{name}", draw.choice(("front", "é")))])
                    one = Mutant(path, mutant.content, False)
                    method, query = draw.choice(("POST", draw.choice(ODD_METHODS))), draw.choice(ODD_QUERIES)
                    answer = await call(campaign.app, method, path, one.content, headers_with(odd_headers(draw)), query)
                    if answer.status != 307:  # a slash too many
                        campaign.note(one, answer)
                campaign.require_rest("stopped")

    asyncio.run(run())
    campaign.require_no_growth()


def _messages(campaign: Campaign, path: str, count: int, seed: int) -> None:
    """Messages at a stopped arm: each that is refused is answered, and the websocket stays open."""

    async def run() -> None:
        async with running(campaign.app):
            for batch in _rounds(mutants({path: MESSAGES[path]}, seed), count):
                await campaign.stop()
                async with opened(campaign.app, path, query=b"rate_hz=0.1") as socket:
                    assert (await socket.receive())["type"] == "websocket.accept"
                    for mutant in batch:
                        await _exchange(campaign, socket, mutant)
                campaign.require_rest("stopped")

    asyncio.run(run())
    campaign.require_no_growth()


async def _exchange(campaign: Campaign, socket: Socket, mutant: Mutant) -> None:
    has_answer = is_answered(mutant.path, mutant.content)
    if has_answer is None:
        return
    socket.send(mutant.content, mutant.is_binary)
    campaign.messages += 1
    if not has_answer:
        return
    may_be = is_valid(mutant.path, mutant.content)
    answer = await socket.answer("error" if mutant.path == "/v1/stream" else "")
    assert answer["type"] == "error" or may_be, (mutant, answer)
    assert answer.get("code") != "robotkit_error", (mutant, answer)
    assert answer.get("code") != "invalid_command" or not may_be, (mutant, answer)


@pytest.mark.parametrize("seed", [1, 2])
def test_f5_mutated_bodies_at_a_stopped_arm(campaign: Campaign, seed: int) -> None:
    _bodies_at_a_stopped_arm(campaign, 25_000, seed)


def test_f5_mutated_bodies_at_an_arm_that_listens(campaign: Campaign) -> None:
    _bodies_at_an_arm_that_listens(campaign, 25_000, seed=3)


def test_f5_odd_headers_queries_and_methods(campaign: Campaign) -> None:
    _odd_requests(campaign, 10_000, seed=4)


@pytest.mark.parametrize("path", sorted(MESSAGES))
def test_f5_mutated_messages(campaign: Campaign, path: str) -> None:
    _messages(campaign, path, 10_000, seed=5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 14))
def test_f5_long_campaigns(seed: int) -> None:
    _bodies_at_a_stopped_arm(Campaign(), 100_000, seed)
    _bodies_at_an_arm_that_listens(Campaign(), 100_000, seed)
    _odd_requests(Campaign(), 50_000, seed)
    for path in MESSAGES:
        _messages(Campaign(), path, 50_000, seed)
