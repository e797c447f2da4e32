"""Whoever has the arm hold, or is why it holds, is told to the audit log and the metrics: who, and why."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

import robotkit as rk
from servers import ServerSettings
from servers.access import Client, Scope
from servers.context import ServerContext
from servers.control import GONE
from servers.events import Event
from servers.telling import Teller
from servers.turns import CURRENT_CALLER, Caller

A, B = Client("key a", "anna", "10.0.0.1"), Client("key b", "bert", "10.0.0.2")
STEP = rk.StepRequest()


@pytest.fixture
def context() -> ServerContext:
    cell = rk.make_workcell("fake")
    cell.connect()
    return ServerContext(cell, ServerSettings())


@pytest.fixture
def told(context: ServerContext) -> list[Event]:
    events: list[Event] = []
    context.events.subscribe(events.append)
    return events


def _lines(told: list[Event]) -> list[tuple[str, str, str, str]]:
    return [(event.kind, event.author, event.address, event.message) for event in told if event.kind != "control_taken"]


def test_b9_a_hold_that_was_asked_for_is_told(context: ServerContext, told: list[Event]) -> None:
    context.control.hold_now(A)
    assert _lines(told) == [("hold", "anna", "10.0.0.1", "it asked for it")]


def test_b9_the_hold_of_a_client_that_is_gone_is_told(context: ServerContext, told: list[Event]) -> None:
    caller, holds = Caller(), threading.Event()
    context.events.subscribe(lambda event: holds.set() if event.kind == "hold" else None)
    dropping = threading.Thread(target=context.control.drop, args=(caller,))

    def act() -> None:
        with context.control.acquire(A):
            dropping.start()
            assert holds.wait(20.0)

    token = CURRENT_CALLER.set(caller)
    try:
        with pytest.raises(rk.ConnectionFailed):
            act()
    finally:
        CURRENT_CALLER.reset(token)
    dropping.join(20.0)
    assert _lines(told) == [("hold", "anna", "10.0.0.1", "it is gone, and its command was under way")]


def test_b9_a_caller_that_is_gone_and_commands_nothing_holds_nothing(context: ServerContext, told: list[Event]) -> None:
    context.control.drop(Caller())
    assert told == []


@pytest.mark.parametrize("why", ["it gave control back", GONE])
def test_b9_control_that_ends_is_told_with_its_reason(context: ServerContext, told: list[Event], why: str) -> None:
    context.step(A, STEP)
    assert context.control.release(A, why)
    assert _lines(told) == [("control_released", "anna", "10.0.0.1", f"{why}; the arm holds")]


def test_b9_control_that_passes_on_is_told_with_its_hold(context: ServerContext, told: list[Event]) -> None:
    context.step(A, STEP)
    context.lease.release(A)  # as if it had fallen silent: nothing has made the arm stand
    context.step(B, STEP)
    assert _lines(told) == [("hold", "bert", "10.0.0.2", "it takes over from anna")]


def test_b9_a_hold_that_was_asked_for_and_failed_is_told(
    context: ServerContext, told: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise rk.DeviceFault("its cable is out")

    monkeypatch.setattr(context.workcell.robot, "hold", fail)
    with pytest.raises(rk.DeviceFault):
        context.control.hold_now(A)
    assert _lines(told) == [("hold", "anna", "10.0.0.1", "it asked for it; the arm did not hold: its cable is out")]


def test_b9_control_that_ends_while_the_arm_is_stopped_is_told_so(context: ServerContext, told: list[Event]) -> None:
    context.step(A, STEP)
    context.stop(B)
    context.control.release(A)
    assert _lines(told)[-1] == ("control_released", "anna", "10.0.0.1", "it gave control back; the arm is stopped")


def test_f13_b9_stops_are_told_with_their_address_and_an_operators_and_the_first_weigh(
    context: ServerContext, told: list[Event]
) -> None:
    reader = Client("key r", "reader", "10.0.0.3", Scope.READ)
    for client in (reader, reader, A, B):
        context.stop(client)
    context.recover(A)
    context.stop(reader)
    assert [(event.author, event.address, event.is_weighty) for event in told if event.kind == "stop"] == [
        ("reader", "10.0.0.3", True),
        ("reader", "10.0.0.3", False),
        ("anna", "10.0.0.1", True),
        ("bert", "10.0.0.2", True),
        ("reader", "10.0.0.3", True),
    ]


def test_whoever_changes_its_name_with_each_stop_takes_so_much_memory_and_no_more() -> None:
    teller = Teller()
    for index in range(3000):
        teller.cause_of_stop(replace(A, name=f"anna {index}"))
    assert len(teller._operators) == 1024


def test_b9_an_owner_whom_a_recovery_forgot_while_he_stopped_owns_his_stop(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Client("key b", "bert", "10.0.0.2", B.scope.COMMAND)
    stop_for = context.workcell.robot.stop_for

    def recovered_first(*why: str) -> None:
        context.recover(A)
        stop_for(*why)

    monkeypatch.setattr(context.workcell.robot, "stop_for", recovered_first)
    context.stop(A)
    with pytest.raises(rk.Forbidden, match="anna"):
        context.recover(other)
