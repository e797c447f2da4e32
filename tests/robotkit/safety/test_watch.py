"""Laws of the threads that watch: how often, how long, and that nothing ends or delays one but its end."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

import robotkit as rk
from robotkit.safety import watch as watch_module
from robotkit.safety.watch import Watch
from tests.support.recording_arm import InThread
from tests.support.waiting import wait_until


@pytest.mark.parametrize(
    ("timeout_s", "pause_s"), [(None, 0.01), (1.0, 0.01), (0.04, 0.01), (0.02, 0.005), (0.004, 0.001)]
)
def test_it_looks_every_10_ms_and_four_times_within_a_shorter_timeout(timeout_s, pause_s):
    assert Watch({"looks": lambda: None}, timeout_s)._pause_s == pytest.approx(pause_s)


def test_it_counts_its_rounds_also_those_that_fail(caplog):
    calls = []
    watch = Watch({"fails": lambda: calls.append(1 / (len(calls) - 1))}, 0.004)
    assert watch.rounds == 0
    watch.start()
    try:
        wait_until(lambda: watch.rounds >= 4)
    finally:
        watch.stop()
    assert watch.rounds >= len(calls)
    assert "it goes on" in caplog.text


def test_a_second_start_is_no_second_thread_and_a_new_one_follows_a_stop():
    threads = set()
    watch = Watch({"looks": lambda: threads.add(threading.current_thread())}, None)
    watch.start()
    wait_until(lambda: bool(threads))
    watch.start()
    rounds = watch.rounds
    wait_until(lambda: watch.rounds > rounds + 2)
    assert len(threads) == 1
    watch.stop()
    (first,) = threads
    assert not first.is_alive(), "a stop waits for the work"
    watch.stop()
    watch.start()
    wait_until(lambda: len(threads) == 2)
    watch.stop()
    assert not any(thread.is_alive() for thread in threads)
    assert all(thread.daemon for thread in threads), "it keeps no program from ending"


def test_its_own_work_may_end_it():
    watch = Watch({"ends": lambda: watch.stop()}, None)
    watch.start()
    wait_until(lambda: watch.rounds == 1)
    assert watch._running is None


def test_a_start_beside_a_stop_of_the_watch_itself_leaves_one_watch():
    """The first thread is still in its work when the second begins; it ends all the same."""
    inside, go_on, threads = threading.Event(), threading.Event(), []

    def work() -> None:
        threads.append(threading.current_thread())
        if len(threads) == 1:
            watch.stop()
            watch.start()
            inside.set()
            go_on.wait(20.0)

    watch = Watch({"looks": work}, None)
    watch.start()
    assert inside.wait(20.0)
    wait_until(lambda: len(threads) > 2)
    go_on.set()
    threads[0].join(20.0)
    assert not threads[0].is_alive()
    watch.stop()


def test_work_that_hangs_keeps_no_other_from_its_rounds_nor_the_watch_from_its_end(monkeypatch):
    monkeypatch.setattr(watch_module, "_END_S", 0.0)
    go_on, looked = threading.Event(), threading.Semaphore(0)
    watch = Watch({"hangs": lambda: go_on.wait(20.0), "looks": looked.release}, None)
    watch.start()
    threads, _ = watch._running
    for _ in range(3):
        assert looked.acquire(timeout=20.0)
    assert watch.rounds == 0
    watch.stop()
    assert threads[0].is_alive()
    go_on.set()
    for thread in threads:
        thread.join(20.0)
        assert not thread.is_alive()
    assert [thread.name for thread in threads] == ["hangs", "looks"]


@pytest.mark.parametrize("other", ["start", "stop"])
def test_what_comes_beside_a_start_waits_for_its_end(other, monkeypatch):
    threads: set[threading.Thread] = set()
    watch = Watch({"looks": lambda: threads.add(threading.current_thread())}, None)
    beside: list[InThread] = []

    def come_between() -> threading.Event:
        if not beside:
            done = threading.Event()
            beside.append(InThread(lambda: (getattr(watch, other)(), done.set())))
            done.wait(0.05)  # one that does not wait is through by now
        return threading.Event()

    between = SimpleNamespace(Event=come_between, Thread=threading.Thread, current_thread=threading.current_thread)
    monkeypatch.setattr(watch_module, "threading", between)
    watch.start()
    monkeypatch.undo()
    assert beside[0].join() is None
    if other == "stop":
        assert watch._running is None
    else:
        wait_until(lambda: watch.rounds > 2)
        watch.stop()
    assert len(threads) <= 1
    assert not any(thread.is_alive() for thread in threads)


def test_a_failure_is_told_once_and_again_after_a_good_round(caplog):
    rounds = iter((1, 1, 1, 0, 1, 1))
    watch = Watch({"fails": lambda: 1 / (1 - next(rounds, 0))}, 0.004)
    watch.start()
    try:
        wait_until(lambda: watch.rounds >= 7)
    finally:
        watch.stop()
    assert [record.levelname for record in caplog.records if record.name == watch_module.__name__] == ["ERROR"] * 2


def test_an_end_waits_for_the_work_that_is_under_way_also_after_what_is_done_meanwhile(monkeypatch):
    """What is done at the end is what lets the work return, a moment later."""
    monkeypatch.setattr(watch_module, "STOP_WAIT_S", 0.0)
    monkeypatch.setattr(watch_module, "_END_S", 20.0)
    inside, go_on = threading.Event(), threading.Event()
    watch = Watch({"works": lambda: (inside.set(), go_on.wait(20.0))}, None)
    watch.start()
    assert inside.wait(20.0)
    (thread,), _ = watch._running
    watch.stop(then=lambda: threading.Timer(0.1, go_on.set).start())
    assert not thread.is_alive()


def test_what_is_done_at_the_end_is_done_also_where_ctrl_c_ends_the_wait_for_the_work(monkeypatch):
    joins, done = iter([KeyboardInterrupt(), None]), []

    def join(threads, wait_s):
        if (error := next(joins)) is not None:
            raise error

    watch = Watch({"looks": lambda: None}, None)
    watch.start()
    (thread,), _ = watch._running
    monkeypatch.setattr(watch_module, "_join", join)
    with pytest.raises(KeyboardInterrupt):
        watch.stop(then=lambda: done.append(True))
    assert done == [True]
    thread.join(20.0)
    assert not thread.is_alive()


def test_where_one_thread_cannot_begin_none_of_the_others_runs_on(monkeypatch):
    start, begun = threading.Thread.start, []

    def refuse_the_second(thread):
        if begun:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        start(thread)

    watch = Watch({"looks": lambda: None, "measures": lambda: None}, None)
    monkeypatch.setattr(threading.Thread, "start", refuse_the_second)
    with pytest.raises(rk.DeviceFault, match="cannot begin"):
        watch.start()
    monkeypatch.undo()
    begun[0].join(20.0)
    assert not begun[0].is_alive()
    assert watch._running is None
