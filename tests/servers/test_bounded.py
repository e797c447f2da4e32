"""A hold and a recovery are answered in time, with what is known, whatever the driver does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import httpx
import pytest

import robotkit as rk
from servers import ServerSettings, bounded, create_app
from servers.access import Client
from servers.context import ServerContext
from tests.support.waiting import wait_until

ANNA, BERT = {"X-Robotkit-Client": "anna"}, {"X-Robotkit-Client": "bert"}
LONG_SILENCE = {"limits.watchdog_s": 5.0}
"""A busy machine takes no arm from its command before the test looks at it."""


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerContext]:
    for name in ("HOLD_S", "STOP_S", "RECOVER_S"):
        monkeypatch.setattr(bounded, name, 0.02)
    with rk.make_workcell("fake", clock="real", **LONG_SILENCE) as cell:
        context: ServerContext = create_app(cell, ServerSettings()).state.context
        yield context


@pytest.fixture
def may_return() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def _asked(context: ServerContext, ask: Callable[[httpx.AsyncClient], Coroutine[Any, Any, Any]]) -> Any:
    app = create_app(context.workcell, ServerSettings())
    app.state.context = context

    async def run() -> Any:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
            return await ask(http)

    return asyncio.run(run())


async def _until(is_true: Callable[[], bool]) -> None:
    """Wait in the event loop, whose end would drop a call that a busy machine has not begun."""
    async with asyncio.timeout(60.0):
        while not is_true():
            await asyncio.sleep(0.001)


def _track(context: ServerContext) -> None:
    robot = context.workcell.robot
    robot.send(rk.PoseCommand(tcp_pose_in_base=robot.get_state().tcp_pose_in_base))


def _code(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["code"]


@pytest.mark.parametrize("path", ["/v1/robot/hold", "/stopimp"])
@pytest.mark.parametrize("moves", [True, False])
def test_b2_a_hold_that_does_not_return_is_answered_and_an_arm_that_may_move_is_stopped(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch, may_return: threading.Event, path: str, moves: bool
) -> None:
    robot = context.workcell.robot
    if moves:
        _track(context)
    monkeypatch.setattr(robot.inner, "_hold", lambda: may_return.wait(20.0))

    async def ask(http: httpx.AsyncClient) -> list[httpx.Response]:
        replies = [await http.post(path, headers=ANNA) for _ in range(2)]
        await _until(lambda: robot.machine.mode == ("stopped" if moves else "holding"))
        may_return.set()
        return replies

    replies = _asked(context, ask)
    assert [_code(reply) for reply in replies] == [(503, "motion_failed")] * 2
    assert "has not been confirmed within 0.02 s" in replies[0].json()["message"]
    assert robot.machine.mode == ("stopped" if moves else "holding")
    if moves:  # the watchdog may have been faster
        assert robot.machine.stop.cause.startswith("the arm did not hold w")


def test_b2_the_time_of_a_hold_that_waits_for_another_of_its_client_counts_from_its_beginning(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch, may_return: threading.Event
) -> None:
    _track(context)
    looks = 0

    def just_begun(*_: object) -> float:
        nonlocal looks
        looks += 1
        if looks > 6:  # longer than a hold may take
            may_return.set()
        return 0.0

    hold = context.workcell.robot.inner._hold
    monkeypatch.setattr(context.workcell.robot.inner, "_hold", lambda: (may_return.wait(20.0), hold())[1])
    monkeypatch.setattr(context.lanes.holds, "running_for_s", just_begun)
    monkeypatch.setattr(context.workcell.robot, "stop_for", lambda *_: pytest.fail("the arm was stopped"))
    assert _asked(context, lambda http: http.post("/v1/robot/hold", headers=ANNA)).status_code == 204


def test_b2_a_hold_that_begins_while_another_is_waited_for_has_its_whole_time(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch, may_return: threading.Event
) -> None:
    """The other had run for a half of it, and this one for three quarters when the wait for the other is over."""
    _track(context)
    ran_s = iter([0.5 * bounded.HOLD_S, 0.75 * bounded.HOLD_S])

    def running_for_s(*_: object) -> float:
        span_s = next(ran_s, None)
        if span_s is None:
            may_return.set()
            return 0.0
        return span_s

    hold = context.workcell.robot.inner._hold
    monkeypatch.setattr(context.workcell.robot.inner, "_hold", lambda: (may_return.wait(20.0), hold())[1])
    monkeypatch.setattr(context.lanes.holds, "running_for_s", running_for_s)
    monkeypatch.setattr(context.workcell.robot, "stop_for", lambda *_: pytest.fail("the arm was stopped"))
    assert _asked(context, lambda http: http.post("/v1/robot/hold", headers=ANNA)).status_code == 204


def test_b2_the_answer_to_a_hold_waits_no_longer_for_a_stop_that_does_not_return(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch, may_return: threading.Event
) -> None:
    _track(context)
    monkeypatch.setattr(context.workcell.robot.inner, "_hold", lambda: may_return.wait(20.0))
    begun: list[bool] = []
    was_let: list[bool] = []

    def hang(*_: object) -> None:
        begun.append(True)
        was_let.append(may_return.wait(20.0))

    monkeypatch.setattr(context.control, "stop_unheld", hang)

    async def ask(http: httpx.AsyncClient) -> httpx.Response:
        reply = await http.post("/v1/robot/hold", headers=ANNA)
        await _until(lambda: bool(begun))
        may_return.set()
        return reply

    assert _code(_asked(context, ask)) == (503, "motion_failed")
    wait_until(lambda: was_let == [True])


def test_b2_a_hold_of_who_has_no_control_stops_nobodys_arm_however_busy_the_server_is(
    context: ServerContext, may_return: threading.Event
) -> None:
    _track(context)

    async def ask(http: httpx.AsyncClient) -> httpx.Response:
        await http.post("/v1/step", json={}, headers=ANNA)
        _track(context)
        busy = [context.lanes.holds.join(may_return.wait, 20.0 + index) for index in range(16)]
        reply = await http.post("/v1/robot/hold", headers=BERT)
        may_return.set()
        await asyncio.wait(busy)
        return reply

    assert _code(_asked(context, ask)) == (503, "motion_failed")
    assert context.workcell.robot.machine.mode == "tracking"


def test_b2_a_hold_that_cannot_begin_stops_an_arm_that_nobody_controls(
    context: ServerContext, may_return: threading.Event
) -> None:
    machine = context.workcell.robot.machine
    _track(context)

    async def ask(http: httpx.AsyncClient) -> httpx.Response:
        busy = [context.lanes.holds.join(may_return.wait, 20.0 + index) for index in range(16)]
        reply = await http.post("/v1/robot/hold", headers=ANNA)
        await _until(lambda: machine.mode == "stopped")
        may_return.set()
        await asyncio.wait(busy)
        return reply

    assert _code(_asked(context, ask)) == (503, "motion_failed")
    assert machine.stop.cause.startswith("the arm did not hold within")


def test_b2_a_recovery_that_does_not_return_is_answered_and_one_that_has_not_begun_never_begins(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch, may_return: threading.Event
) -> None:
    robot, begun = context.workcell.robot, list[int]()
    recover = robot.recover
    robot.stop()

    def hang(stops_seen: int | None = None) -> None:
        begun.append(1)
        may_return.wait(20.0)
        recover(stops_seen)

    wait, asked = asyncio.wait, list[int]()

    async def wait_from_the_beginning(tasks: list[asyncio.Task[Any]], timeout: float) -> tuple[set[Any], set[Any]]:
        asked.append(1)
        await _until(lambda: len(begun) >= min(len(asked), 4))
        return await wait(tasks, timeout=timeout)

    monkeypatch.setattr(robot, "recover", hang)
    monkeypatch.setattr(bounded.asyncio, "wait", wait_from_the_beginning)

    async def ask(http: httpx.AsyncClient) -> list[httpx.Response]:
        replies = [await http.post("/v1/robot/recover", headers=ANNA) for _ in range(6)]
        assert robot.machine.mode == "stopped"
        may_return.set()
        return replies

    replies = _asked(context, ask)
    assert {_code(reply) for reply in replies} == {(504, "remote_timeout")}
    words = ["still works at it" in reply.json()["message"] for reply in replies]
    assert words == [True] * 4 + [False] * 2
    assert begun == [1] * 4


def test_b2_what_a_hold_or_a_recovery_raises_is_answered_as_ever(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOLD_S", "STOP_S", "RECOVER_S"):
        monkeypatch.setattr(bounded, name, 20.0)

    def fail(*_: object) -> None:
        raise rk.DeviceFault("its cable is out")

    for name in ("hold", "recover"):
        monkeypatch.setattr(context.workcell.robot, name, fail)

    async def ask(http: httpx.AsyncClient) -> list[httpx.Response]:
        return [await http.post(f"/v1/robot/{name}", headers=ANNA) for name in ("hold", "recover")]

    assert [_code(reply) for reply in _asked(context, ask)] == [(503, "device_fault")] * 2


def test_b2_the_time_of_a_hold_that_runs_already_counts_from_its_beginning(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float | None] = []

    async def wait(tasks: list[asyncio.Future[Any]], timeout: float | None) -> None:
        waits.append(timeout)
        tasks[0].cancel()

    async def hold() -> None:
        monkeypatch.setattr(bounded.asyncio, "wait", wait)
        monkeypatch.setattr(context.lanes.holds, "join", lambda *_: asyncio.get_running_loop().create_future())
        monkeypatch.setattr(context.lanes.holds, "running_for_s", lambda *_: 0.015)
        with pytest.raises(asyncio.CancelledError):
            await bounded.hold(context, Client("key a", "anna"))
        monkeypatch.undo()

    asyncio.run(hold())
    assert waits[0] == pytest.approx(0.02 - 0.015)
