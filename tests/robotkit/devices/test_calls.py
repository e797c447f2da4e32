"""Laws of the count of calls that are in one arm's driver, and of a call that is waited for within a bound."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

import robotkit as rk
from robotkit.devices import calls as calls_module
from robotkit.devices.calls import HALT, DeviceCalls, call_in_time
from tests.support.recording_arm import InThread, fail_with


@contextmanager
def in_another_thread(calls: DeviceCalls, name: str) -> Iterator[None]:
    """A call that another thread has in the driver inside."""
    is_inside, may_return = threading.Event(), threading.Event()

    def call() -> None:
        with calls.under_way(name):
            is_inside.set()
            assert may_return.wait(20.0)

    caller = InThread(call)
    assert is_inside.wait(20.0)
    try:
        yield
    finally:
        may_return.set()
        assert caller.join() is None


def test_a_halt_begins_no_motion_and_outlives_none():
    calls, told = DeviceCalls(lambda: 0), []
    calls.on_begin, calls.on_return = lambda: told.append("begin"), lambda: told.append("return")
    with calls.under_way(HALT):
        assert not calls.outlive_a_halt()
        assert calls.oldest() is None
        assert calls.oldest(with_halts=True).name == HALT
    assert not calls.has_begun
    assert told == []


def test_a_call_is_counted_when_its_beginning_and_its_return_are_told():
    calls, told = DeviceCalls(lambda: 0), []

    def tell() -> None:
        told.append((calls.has_begun, calls.outlive_a_halt()))

    calls.on_begin = calls.on_return = tell
    with calls.under_way("send"):
        assert told == [(True, True)]
    assert told == [(True, True)] * 2
    assert calls.has_begun
    assert not calls.outlive_a_halt()


@pytest.mark.parametrize("other", ["send", HALT])
def test_each_thread_tells_that_its_call_has_returned_and_calls_within_it_do_not(other):
    calls, told = DeviceCalls(lambda: 0), []
    calls.on_return = lambda: told.append(1)
    with in_another_thread(calls, other):
        with calls.under_way("hold"):
            with calls.under_way("measure"):
                pass
            assert told == []
        assert told == [1]
    assert told == [1] * (1 if other == HALT else 2)


def test_a_call_within_a_halt_of_its_own_thread_tells_that_it_has_returned():
    calls, told = DeviceCalls(lambda: 0), []
    calls.on_return = lambda: told.append(1)
    with calls.under_way(HALT), calls.under_way("send"):
        pass
    assert told == [1]


def test_a_recovery_outlives_the_halts_of_stops_that_it_has_not_seen():
    stops = 1
    calls = DeviceCalls(lambda: stops)
    with calls.under_way("recover", 1):
        assert not calls.outlive_a_halt()
        stops = 2
        assert calls.outlive_a_halt()
        assert not calls.outlive_a_halt(for_s=60.0)


def test_the_oldest_of_those_that_are_asked_for_is_told():
    calls = DeviceCalls(lambda: 0)
    with ExitStack() as stack:
        for name in ("first", "second"):
            stack.enter_context(calls.under_way(name))
        stack.enter_context(in_another_thread(calls, HALT))
        stack.enter_context(in_another_thread(calls, "third"))
        stack.enter_context(in_another_thread(calls, "fourth"))
        for call, began_s in zip(sorted(calls._under_way, key=lambda call: call.began_s), range(5), strict=True):
            call.began_s = began_s
        assert calls.oldest().name == "first"
        assert calls.oldest(of_others=True).name == "third"
        assert calls.oldest(of_others=True, with_halts=True).name == HALT


def test_what_was_refused_takes_back_nothing_that_an_earlier_call_has_begun():
    calls = DeviceCalls(lambda: 0)
    for is_begun in (False, True):
        with suppress(rk.DeviceFault), calls.under_way("recover", refusal=rk.DeviceFault):
            raise rk.DeviceFault("not released")
        assert calls.has_begun is is_begun
        with calls.under_way("recover", refusal=rk.DeviceFault):
            pass


def test_a_call_that_has_not_begun_in_time_does_not_begin_any_more(monkeypatch):
    kept, called = [], []
    monkeypatch.setattr(calls_module._thread, "start_new_thread", lambda run, _: kept.append(run))
    with pytest.raises(rk.DeviceFault, match=r"has not returned for 0\.00 s"):
        call_in_time(lambda: called.append(1), 0.0)
    kept[0]()
    assert called == []


def test_a_call_is_made_here_where_the_process_may_have_no_more_threads(monkeypatch):
    threads = []
    monkeypatch.setattr(calls_module._thread, "start_new_thread", lambda *_: fail_with(RuntimeError("no more"))())
    call_in_time(lambda: threads.append(threading.current_thread()), 60.0)
    assert threads == [threading.current_thread()]


@pytest.mark.parametrize("error", [rk.DeviceFault("torn"), SystemExit("over")])
def test_what_a_call_raises_in_its_thread_is_raised_to_who_waits(error):
    with pytest.raises(type(error)) as caught:
        call_in_time(fail_with(error), 60.0)
    assert caught.value is error
