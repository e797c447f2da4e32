"""The poller's loop step by step, on a clock that only its pauses and the source's polls advance."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest

import robotkit as rk
from robotkit.drivers import polling
from robotkit.drivers.polling import Poller, Source

Step = Callable[[], int | None]


class Bench(Source[int]):
    """A source that plays a script, and the clock; the script's end ends the polling."""

    def __init__(self, *script: Step | Exception | int | None, poll_s: float = 0.0) -> None:
        self.script, self.poll_s = list(script), poll_s
        self.now_s = 50.0
        self.pauses_s: list[float] = []
        self.calls: list[str] = []
        self.is_locked = False

    def open(self) -> None:
        self.calls.append("open")
        if self.is_locked:
            raise rk.ConnectionFailed("locked")

    def poll(self) -> int | None:
        self.calls.append("poll")
        self.now_s += self.poll_s
        step = self.script.pop(0)
        if not self.script:
            self.stopping.set()
        if isinstance(step, Exception):
            raise step
        return step() if callable(step) else step

    def close(self) -> None:
        self.calls.append("close")

    def pause(self, seconds: float) -> None:
        self.pauses_s.append(round(seconds, 6))
        self.now_s += seconds


class Stop(threading.Event):
    """Its waits pass on the bench's clock."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self._bench = bench

    def wait(self, timeout_s: float | None = None) -> bool:
        assert timeout_s is not None
        self._bench.pause(timeout_s)
        if len(self._bench.pauses_s) > 50:
            self.set()
        return self.is_set()


def poller_of(bench: Bench, monkeypatch: pytest.MonkeyPatch, **options: object) -> Poller[int]:
    monkeypatch.setattr(polling, "time", SimpleNamespace(monotonic=lambda: bench.now_s, sleep=bench.pause))
    built = Poller(bench, "bench", **{"max_age_s": 1.0} | options)
    built._stop = bench.stopping = Stop(bench)
    built._started_s = bench.now_s
    return built


def test_between_two_polls_there_is_the_pause_and_without_one_there_is_none(monkeypatch):
    bench = Bench(1, None, 2)
    poller_of(bench, monkeypatch, period_s=0.01)._run()
    assert bench.pauses_s == [0.01] * 3
    bench = Bench(1, None, 2)
    poller_of(bench, monkeypatch)._run()
    assert bench.pauses_s == []
    assert bench.calls == ["poll", "poll", "poll", "close"]


def test_silence_is_counted_from_the_last_reading_and_ends_the_connection(monkeypatch):
    bench = Bench(None, None, 1, None, None, None, 2, poll_s=0.1)
    poller = poller_of(bench, monkeypatch, silence_s=0.25)
    poller._run()
    assert bench.calls == ["poll"] * 6 + ["close", "open", "poll", "close"]
    bench = Bench(None, None, None, None, 1, poll_s=0.1)
    poller = poller_of(bench, monkeypatch, silence_s=0.25)
    bench.is_locked = True
    monkeypatch.setattr(bench.stopping, "wait", lambda timeout_s: bench.stopping.set())
    poller._run()
    with pytest.raises(rk.StaleState, match=r"because of StaleState: no new reading for 0\.30 s"):
        poller.newest()


def test_retries_double_their_pause_up_to_two_seconds_and_begin_anew_after_a_success(monkeypatch):
    def lock() -> None:
        bench.is_locked = True
        raise OSError("pulled out")

    def unlock(timeout_s: float) -> bool:
        bench.pause(timeout_s)
        bench.is_locked = len(bench.pauses_s) < 8
        return False

    bench = Bench(1, lock, OSError("again"), 2)
    poller = poller_of(bench, monkeypatch)
    monkeypatch.setattr(bench.stopping, "wait", unlock)
    poller._run()
    assert bench.pauses_s == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0, 0.1]
    assert bench.calls.count("open") == 9
    assert bench.calls[-3:] == ["open", "poll", "close"]


def test_readers_hear_of_a_fault_before_the_source_is_closed_which_may_take_long(monkeypatch):
    heard = []

    def close() -> None:
        with pytest.raises(rk.DeviceFault, match="it smokes"):
            poller.newest()
        heard.append(poller.wait_for_first(0.0))

    bench = Bench(rk.DeviceFault("it smokes"))
    poller = poller_of(bench, monkeypatch)
    bench.close = close
    poller._run()
    assert heard == [False, False]
    assert poller._arrived.is_set(), "who waits for the first reading need not wait on"


class Watched(Poller[int]):
    """Keeps what was newest and what was wrong at each change, and when somebody who waits is woken."""

    def __init__(self, bench: Bench) -> None:
        self.seen: list[tuple[str, int | None, bool]] = []
        super().__init__(bench, "bench", max_age_s=1.0)
        self._stop = bench.stopping = Stop(bench)
        self._arrived = SimpleNamespace(set=lambda: self._see("woken"))
        self.seen.clear()

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in ("_newest", "_error", "_fault") and hasattr(self, "_fault"):
            self._see(name)

    def _see(self, what: str) -> None:
        newest = self._newest
        self.seen.append((what, None if newest is None else newest[1], self._fault is not None))


def test_no_reader_sees_an_old_reading_without_its_error_and_none_is_woken_too_early():
    bench = Bench(1, rk.DeviceFault("it smokes"), 2)
    poller = Watched(bench)
    poller._newest = None
    poller.seen.clear()
    poller._run()
    assert poller.seen == [
        ("_newest", 1, False), ("_error", 1, False), ("_fault", 1, False), ("woken", 1, False),
        ("_error", 1, False), ("_fault", 1, True), ("woken", 1, True),
        ("_newest", 2, True), ("_error", 2, True), ("_fault", 2, False), ("woken", 2, False),
    ]  # fmt: skip


def test_a_reading_clears_the_error_and_the_fault_before_it(monkeypatch):
    bench = Bench(rk.DeviceFault("it smokes"), 7)
    poller = poller_of(bench, monkeypatch)
    poller._run()
    assert poller.newest() == 7
    assert poller._error is None


def test_an_error_alone_takes_no_reading_away_unless_a_hand_steers(monkeypatch):
    for forgets, is_there in ((False, True), (True, False)):
        bench = Bench(7, OSError("pulled out"))
        options = {"forgets_on_failure": True} if forgets else {}
        poller = poller_of(bench, monkeypatch, **options)
        poller._run()
        if is_there:
            assert poller.newest() == 7
        else:
            with pytest.raises(rk.StaleState, match="because of OSError: pulled out; it is being reopened"):
                poller.newest()


@pytest.mark.parametrize(("passed_s", "own_age_s", "is_fresh"), [
    (1.0, 0.0, True), (1.01, 0.0, False), (0.0, 1.0, True), (0.0, 1.01, False), (1.01, -5.0, False),
])  # fmt: skip
def test_a_reading_is_as_old_as_its_arrival_or_as_its_stamp(monkeypatch, passed_s, own_age_s, is_fresh):
    bench = Bench(7, poll_s=0.25)
    poller = poller_of(bench, monkeypatch, age_s=lambda reading: reading - 7 + own_age_s)
    poller._run()
    bench.now_s += passed_s
    if is_fresh:
        assert poller.newest() == 7
    else:
        with pytest.raises(rk.StaleState, match=r"nothing new for 1\.01 s \(allowed: 1 s\)"):
            poller.newest()


def test_before_it_was_started_there_is_no_reading_and_nothing_to_stop():
    poller = Poller(Bench(1), "bench", max_age_s=1.0)
    assert not poller.is_running
    with pytest.raises(rk.StaleState, match="bench: nothing new"):
        poller.newest()
    poller.stop()


def test_without_a_reading_its_age_is_that_of_the_connection(monkeypatch):
    bench = Bench(None)
    poller = poller_of(bench, monkeypatch)
    bench.now_s += 0.5
    with pytest.raises(rk.StaleState, match=r"bench: nothing new for 0\.50 s \(allowed: 1 s\); it is being reopened"):
        poller.newest()


def test_who_asks_again_before_there_is_a_newer_reading_gives_way(monkeypatch):
    bench = Bench(7, 8)
    poller = poller_of(bench, monkeypatch)
    bench.script = [7, 8]
    poller._newest = (bench.now_s, 7)
    poller.newest()
    assert bench.pauses_s == []
    poller.newest()
    poller.newest()
    assert bench.pauses_s == [1e-5] * 2
    poller._newest = (bench.now_s, 8)
    poller.newest()
    assert len(bench.pauses_s) == 2


def test_by_default_a_start_waits_for_nothing_and_its_thread_keeps_no_program_from_ending():
    bench = Bench(*[None] * 10**4)
    poller = Poller(bench, "a bench of its own", max_age_s=1.0, period_s=1e-3)
    poller.start()
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "a bench of its own"]
    assert thread.daemon
    poller.stop()
    assert not thread.is_alive()
    assert bench.calls[0] == "open"
    assert bench.calls[-1] == "close"


def test_the_error_that_kept_the_first_reading_away_is_told(monkeypatch):
    bench = Bench(*[OSError("pulled out")] * 100)
    poller = Poller(bench, "bench", max_age_s=1.0)
    with pytest.raises(rk.ConnectionFailed, match=r"sent nothing in 0\.05 s because of OSError: pulled out"):
        poller.start(wait_s=0.05)


def test_a_first_reading_is_waited_for_as_long_as_asked():
    bench = Bench(lambda: bench.stopping.wait(0.05) or 1, *[2] * 10**4)
    poller = Poller(bench, "bench", max_age_s=1.0, period_s=1e-3)
    poller.start(wait_s=0.9)
    assert poller.newest() >= 1
    poller.stop()
