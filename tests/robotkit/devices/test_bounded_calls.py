"""Laws of `BoundedCalls`: which of several commands are done, what they raise, and from when on a call hangs."""

from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest

import robotkit as rk
from robotkit.devices import bounded_calls
from robotkit.devices.bounded_calls import BoundedCalls
from tests.support.recording_arm import InThread, fail_with
from tests.support.waiting import wait_until

_STUCK_S = 20.0


class Kept:
    """A call of a driver that returns when it is let, and raises `error` then."""

    def __init__(self, error: Exception | None = None) -> None:
        self.has_begun, self.may_return, self._error = threading.Event(), threading.Event(), error

    def __call__(self) -> None:
        self.has_begun.set()
        assert self.may_return.wait(_STUCK_S)
        if self._error is not None:
            raise self._error


def begun(calls: BoundedCalls, error: Exception | None = None) -> Kept:
    """A command that has begun and is not waited for any more."""
    kept = Kept(error)
    calls.command(kept)
    assert kept.has_begun.wait(_STUCK_S)
    return kept


def test_a_call_sees_what_its_caller_has_set_for_itself():
    variable = ContextVar("variable", default=0)
    variable.set(7)
    assert BoundedCalls("it was asked", 60.0).call(variable.get) == 7


def test_what_a_command_raises_late_is_told_only_while_it_is_the_newest():
    calls = BoundedCalls("it is told", 60.0, wait_s=0.0)
    first = begun(calls, rk.DeviceFault("the first"))
    second = Kept(rk.DeviceFault("the second"))
    calls.command(second)
    first.may_return.set()
    assert second.has_begun.wait(_STUCK_S)
    assert calls.late_error is None
    second.may_return.set()
    wait_until(lambda: calls.late_error is not None)
    assert str(calls.late_error) == "the second"
    third = begun(calls)
    assert calls.late_error is None
    third.may_return.set()


def test_who_waits_for_a_command_that_a_newer_one_replaces_waits_no_longer():
    calls, done = BoundedCalls("it is told", 60.0, wait_s=0.0), []
    first = begun(calls)
    calls._wait_s = 60.0
    waiting = InThread(lambda: calls.command(lambda: done.append("second")))
    wait_until(lambda: calls._waiting)
    calls._wait_s = 0.0
    calls.command(lambda: done.append("third"))
    assert waiting.join() is None
    first.may_return.set()
    wait_until(lambda: calls.unanswered is None)
    assert done == ["third"]


def test_a_command_that_has_waited_behind_another_hangs_from_its_own_beginning_on():
    calls = BoundedCalls("it is told", 60.0, wait_s=0.0)
    first, second = begun(calls), Kept()
    calls.command(second)
    for call in (calls._under_way, *calls._waiting):
        call.began_s -= 100.0
    assert "it is told, and its driver has not returned for 100.0 s" in calls.overdue.message
    first.may_return.set()
    assert second.has_begun.wait(_STUCK_S)
    assert calls.overdue is None
    second.may_return.set()


@pytest.mark.parametrize("waits", [False, True])
def test_what_a_command_raises_just_when_it_is_not_waited_for_any_more_is_raised(monkeypatch, waits):
    class Overtaken(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            return super().wait(_STUCK_S) and waits

    monkeypatch.setattr(bounded_calls.threading, "Event", Overtaken)
    with pytest.raises(rk.DeviceFault, match="torn"):
        BoundedCalls("it is told", 60.0).command(fail_with(rk.DeviceFault("torn")))


def test_a_call_waits_for_the_one_before_it():
    calls = BoundedCalls("it was asked", 60.0, wait_s=0.0)
    first, answers = begun(calls), []
    asking = InThread(lambda: answers.append(calls.call(lambda: 7)))
    first.may_return.set()
    assert asking.join() is None
    assert answers == [7]


def test_nothing_waits_behind_a_call_that_hangs_already():
    calls = BoundedCalls("it was asked", 60.0, wait_s=0.0)
    first = begun(calls)
    calls._under_way.began_s -= 60.0
    for ask in (calls.call, calls.command):
        assert isinstance(InThread(lambda ask=ask: ask(lambda: 7)).join(), rk.DeviceFault)
    assert not calls._waiting
    first.may_return.set()


def test_another_thread_may_wait_while_this_one_is_interrupted_in_a_change():
    """As a signal handler that disconnects a cell has it: the thread that closes the gripper needs no lock of ours."""
    calls, found = BoundedCalls("the gripper takes its command", 5.0), []
    waiter = threading.Thread(target=lambda: found.append(calls.wait_until_idle(5.0)), daemon=True)
    with calls._changing:
        waiter.start()
        waiter.join(2.0)
        assert found == [True]


def test_a_wait_ends_at_its_limit_also_while_a_call_that_is_over_gives_no_way_to_the_next(monkeypatch):
    calls = BoundedCalls("the gripper takes its command", 5.0)
    calls.command(lambda: None)
    wait_until(lambda: calls.wait_until_idle(0.0))
    over = bounded_calls._Call(lambda: None)
    over.is_over.set()
    monkeypatch.setattr(calls, "_under_way", over)
    assert not calls.wait_until_idle(0.01)
