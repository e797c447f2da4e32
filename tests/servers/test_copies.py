"""The copies of a stop, which a client sends until somebody answers, stop the arm once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

import robotkit as rk
from robotkit.remote import Session
from robotkit.schema.wire import CLIENT_HEADER, CLOCK_HEADER, SEEN_HEADER, STOP_HEADER
from servers import copies
from servers.access import Client
from servers.copies import StopCopies
from tests.robotkit.remote.test_session import DONE, scripted
from tests.serving import served

A, B = Client("key a", "anna"), Client("key b", "bert")
ID = "0123456789abcdef"


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with (
        served(rk.make_workcell("fake", clock="real")) as url,
        httpx.Client(base_url=url, headers={CLIENT_HEADER: "anna"}, trust_env=False, timeout=20.0) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("first", "second", "is_copy"),
    [
        ({STOP_HEADER: ID}, {STOP_HEADER: ID}, True),
        ({STOP_HEADER: ID}, {STOP_HEADER: ID[::-1]}, False),
        ({STOP_HEADER: ID}, {STOP_HEADER: ID, CLIENT_HEADER: "bert"}, False),
        ({STOP_HEADER: "1"}, {STOP_HEADER: "1"}, False),
        ({}, {}, False),
    ],
)
def test_b2_a_copy_of_a_stop_that_comes_after_the_recovery_stops_the_arm_no_second_time(
    http: httpx.Client, first: dict[str, str], second: dict[str, str], is_copy: bool
) -> None:
    assert http.post("/v1/robot/stop", headers=first).status_code == 204
    assert http.get("/v1/robot/state").json()["mode"] == "stopped"
    assert http.post("/v1/robot/recover").status_code == 204
    assert http.post("/v1/robot/stop", headers=second).status_code == 204
    assert http.get("/v1/robot/state").json()["mode"] == ("holding" if is_copy else "stopped")


def test_b2_every_answer_to_a_stop_is_signed_so_that_its_client_takes_it_for_the_robot_servers(
    http: httpx.Client,
) -> None:
    answers = [http.post(path, headers={STOP_HEADER: ID}) for path in ("/v1/robot/stop", "/v1/robot/stop/") * 2]
    assert {answer.headers[CLOCK_HEADER] for answer in answers} == {http.get("/v1/protocol").json()["clock"]}


def test_b2_the_answer_to_a_copy_tells_what_had_come_with_its_stop(http: httpx.Client) -> None:
    told = [http.post("/v1/robot/stop", headers={STOP_HEADER: ID}).headers[SEEN_HEADER]]
    assert http.post("/v1/robot/recover").status_code == 204
    told += [http.post("/v1/robot/stop", headers={STOP_HEADER: one}).headers[SEEN_HEADER] for one in (ID, ID[::-1])]
    assert told == ["1,0,0", "1,0,0", "2,1,0"]


class Stops:
    """Counts the stops that have begun; they end when they may, or fail."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> None:
        self.begun += 1
        await self.may_end.wait()
        if self.error is not None:
            raise self.error


def test_b2_a_copy_that_comes_while_its_stop_runs_is_answered_with_it() -> None:
    async def run() -> None:
        known, stops = StopCopies(), Stops()
        first, second = (asyncio.create_task(known.once(A, ID, stops)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        assert not second.done()
        stops.may_end.set()
        await second
        assert stops.begun == 1

    asyncio.run(run())


def test_b2_a_copy_of_a_stop_that_failed_or_hangs_stops_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_FIRST_S", 0.0)

    async def run() -> None:
        known, hanging, failing, good = StopCopies(), Stops(), Stops(), Stops()
        failing.error = OSError("no thread")
        for one in (failing, good):
            one.may_end.set()
        first = asyncio.create_task(known.once(A, ID, hanging))
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="no thread"):
            await known.once(A, ID, failing)
        for _ in range(2):
            await known.once(A, ID, good)
        assert (hanging.begun, failing.begun, good.begun) == (1, 1, 1)
        hanging.may_end.set()
        await first

    asyncio.run(run())


def test_b2_a_stop_goes_on_when_the_connection_that_asked_for_it_is_closed() -> None:
    """Its client hangs up where another copy was answered."""

    async def scenario() -> list[str]:
        known: StopCopies[None] = StopCopies()
        goes_on, told = asyncio.Event(), []

        async def stop() -> None:
            told.append("begun")
            await goes_on.wait()
            told.append("stopped")

        asked = asyncio.create_task(known.once(A, ID, stop))
        while not told:
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        goes_on.set()
        await known.once(A, ID, stop)
        return told

    assert asyncio.run(scenario()) == ["begun", "stopped"]


@pytest.mark.parametrize("name", ["_KNOWN_S", "_KNOWN_MAX"])
def test_what_is_remembered_of_stops_is_bounded(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(copies, name, -1.0 if name == "_KNOWN_S" else 1)

    async def run() -> None:
        known, stops = StopCopies(), Stops()
        stops.may_end.set()
        for client in (A, B, A):
            await known.once(client, ID, stops)
        assert stops.begun == 3

    asyncio.run(run())


def test_b2_every_stop_of_a_client_has_an_id_of_its_own() -> None:
    with scripted([DONE], [DONE]) as (url, received):
        session = Session(url, timeout_s=20.0)
        session.stop()
        session.stop()
    ids = {
        line for request in received for line in request.split(b"\r\n") if line.lower().startswith(b"x-robotkit-stop")
    }
    assert len(ids) == 2
