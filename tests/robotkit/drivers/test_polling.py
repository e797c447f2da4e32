"""Laws of the poller that the drivers share."""

from __future__ import annotations

import os
import threading
import time

import pytest

import robotkit as rk
from robotkit.drivers.polling import Poller, Source
from tests.support.waiting import is_fine, wait_for_error, wait_until


class Counter(Source[int]):
    """Counts its polls; `trouble` is raised, `is_dry` says nothing, `is_locked` does not open, `jam` does not close."""

    def __init__(self) -> None:
        self.count = self.opened = self.closed = 0
        self.trouble: Exception | None = None
        self.jam: Exception | None = None
        self.is_dry = self.is_locked = False
        self.gate = threading.Event()
        self.gate.set()

    def open(self) -> None:
        self.opened += 1
        if self.is_locked:
            raise rk.ConnectionFailed("locked")

    def poll(self) -> int | None:
        self.gate.wait()
        if self.trouble is not None:
            raise self.trouble
        if self.is_dry:
            return None
        self.count += 1
        return self.count

    def close(self) -> None:
        self.closed += 1
        if self.jam is not None:
            raise self.jam


class Talker(Counter):
    """Goes to the operating system ten times a poll, as a serial line does."""

    def open(self) -> None:
        super().open()
        self.ends = os.pipe()

    def poll(self) -> int | None:
        for _ in range(10):
            os.write(self.ends[1], b"x")
            os.read(self.ends[0], 1)
        return super().poll()

    def close(self) -> None:
        super().close()
        for end in self.ends:
            os.close(end)


@pytest.fixture
def source():
    return Counter()


def poller_of(source: Counter, **options: float) -> Poller[int]:
    return Poller(source, "counter", **({"max_age_s": 0.1, "period_s": 0.002} | options))


def test_the_newest_reading_is_handed_out_without_polling(source):
    poller = poller_of(source)
    poller.start(wait_s=10.0)
    first = poller.newest()
    wait_until(lambda: poller.newest() > first)
    poller.stop()
    assert source.opened == source.closed == 1


def test_it_can_be_started_and_stopped_twice_and_again(source):
    poller = poller_of(source)
    for _ in range(2):
        poller.start(wait_s=10.0)
        poller.start(wait_s=10.0)
        assert poller.is_running
        poller.stop()
        poller.stop()
        assert not poller.is_running
    assert source.opened == source.closed == 2


@pytest.mark.parametrize("trouble", [OSError("pulled out"), rk.DeviceError("no answer"), ValueError("nonsense")])
def test_every_error_reaches_the_readers_and_the_source_is_opened_again(source, trouble):
    poller = poller_of(source)
    poller.start(wait_s=10.0)
    source.trouble = trouble
    error = wait_for_error(poller.newest, rk.StaleState)
    assert error.__cause__ is trouble
    assert str(trouble) in str(error)
    source.trouble = None
    wait_until(lambda: is_fine(poller.newest, rk.StaleState))
    poller.stop()
    assert source.opened == source.closed >= 2


def test_silence_is_stale_and_after_a_while_a_reason_to_open_again(source):
    poller = poller_of(source, silence_s=0.2)
    poller.start(wait_s=10.0)
    source.is_dry = True
    wait_for_error(poller.newest, rk.StaleState)
    wait_until(lambda: source.opened >= 2)
    source.is_dry = False
    wait_until(lambda: is_fine(poller.newest, rk.StaleState))
    poller.stop()


def test_a_source_that_does_not_open_fails_at_once(source):
    source.is_locked = True
    poller = poller_of(source)
    with pytest.raises(rk.ConnectionFailed, match="locked"):
        poller.start(wait_s=10.0)
    assert not poller.is_running
    assert source.opened == source.closed == 1


def test_a_source_that_says_nothing_fails_after_the_wait(source):
    source.is_dry = True
    poller = poller_of(source)
    with pytest.raises(rk.ConnectionFailed, match=r"sent nothing in 0\.05 s"):
        poller.start(wait_s=0.05)
    assert not poller.is_running


def test_a_source_that_hangs_is_left_behind_and_not_started_over(source):
    poller = poller_of(source, join_s=0.05)
    poller.start(wait_s=10.0)
    source.gate.clear()
    wait_for_error(poller.newest, rk.StaleState)
    poller.stop()
    with pytest.raises(rk.ConnectionFailed, match="still hangs"):
        poller.start()
    source.gate.set()
    wait_until(lambda: source.closed == 1)
    wait_until(lambda: is_fine(lambda: poller.start(wait_s=10.0), rk.ConnectionFailed))
    poller.stop()


def test_a_source_that_cannot_be_closed_is_opened_again(source):
    poller = poller_of(source)
    poller.start(wait_s=10.0)
    source.trouble, source.jam = OSError("pulled out"), OSError("already gone")
    error = wait_for_error(poller.newest, rk.StaleState)
    assert "pulled out" in str(error)
    source.trouble = None
    wait_until(lambda: is_fine(poller.newest, rk.StaleState))
    poller.stop()


def test_a_source_that_neither_opens_nor_closes_says_why_it_does_not_open(source):
    source.is_locked, source.jam = True, OSError("already gone")
    with pytest.raises(rk.ConnectionFailed, match="locked"):
        poller_of(source).start()


def test_a_fault_reaches_the_readers_at_once_and_stays_until_there_is_a_reading(source):
    poller = poller_of(source, max_age_s=60.0)
    poller.start(wait_s=10.0)
    source.trouble = rk.DeviceFault("it smokes")
    error = wait_for_error(poller.newest, rk.DeviceFault)
    assert error.__cause__ is source.trouble
    assert "counter: it smokes" in str(error)
    source.is_locked = True
    wait_until(lambda: source.opened >= 3)
    with pytest.raises(rk.DeviceFault, match="it smokes"):
        poller.newest()
    source.is_locked, source.trouble = False, None
    wait_until(lambda: is_fine(poller.newest, rk.DeviceFault))
    poller.stop()


def test_a_fault_in_place_of_the_first_reading_ends_the_start(source):
    source.trouble = rk.DeviceFault("it smokes")
    poller = poller_of(source)
    with pytest.raises(rk.DeviceFault, match="it smokes"):
        poller.start(wait_s=60.0)
    assert not poller.is_running


def test_what_a_hand_did_before_it_was_unplugged_is_not_handed_out_after(source):
    poller = poller_of(source, max_age_s=60.0, forgets_on_failure=True)
    poller.start(wait_s=10.0)
    source.is_locked, source.trouble = True, OSError("pulled out")
    error = wait_for_error(poller.newest, rk.StaleState)
    assert "pulled out" in str(error)
    source.is_locked, source.trouble = False, None
    before = source.count
    wait_until(lambda: is_fine(poller.newest, rk.StaleState))
    assert poller.newest() > before
    poller.stop()


def test_a_reading_that_is_old_when_it_arrives_is_stale(source):
    poller = Poller(source, "counter", max_age_s=60.0, period_s=0.002, age_s=float)
    source.count = 40
    poller.start(wait_s=10.0)
    error = wait_for_error(poller.newest, rk.StaleState)
    assert "nothing new for 6" in str(error)
    poller.stop()


def test_a_reading_with_a_stamp_of_the_future_grows_old_all_the_same(source):
    poller = Poller(source, "counter", max_age_s=0.1, period_s=0.002, age_s=lambda reading: -60.0)
    poller.start(wait_s=10.0)
    source.is_dry = True
    wait_for_error(poller.newest, rk.StaleState)
    poller.stop()


def test_m12_a_second_start_knows_nothing_of_the_first(source):
    """No reading, no fault, no first arrival and no stop is left over."""
    poller = poller_of(source, max_age_s=60.0)
    poller.start(wait_s=10.0)
    source.trouble = rk.DeviceFault("it smokes")
    wait_for_error(poller.newest, rk.DeviceFault)
    poller.stop()
    source.trouble, source.is_dry = None, True
    poller.start()
    assert not source.stopping.is_set()
    assert not poller.wait_for_first(0.01)
    error = wait_for_error(poller.newest, rk.StaleState)
    assert error.__cause__ is None
    source.is_dry = False
    assert poller.wait_for_first(10.0)
    poller.stop()


def test_an_interrupted_start_leaves_nothing_open(source, monkeypatch):
    poller = poller_of(source)

    def interrupt(*arguments: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(poller, "wait_for_first", interrupt)
        with pytest.raises(KeyboardInterrupt):
            poller.start(wait_s=10.0)
    assert (poller.is_running, source.closed) == (False, 1)
    monkeypatch.setattr(source, "open", interrupt)
    with pytest.raises(KeyboardInterrupt):
        poller.start(wait_s=10.0)
    assert (poller.is_running, source.closed) == (False, 2)


def test_a_wait_of_the_source_ends_with_the_polling(source):
    """Or the thread is left behind, and opens the device again after everybody has let it go."""
    is_waiting, ended = threading.Event(), threading.Event()

    def wait() -> None:
        is_waiting.set()
        if source.stopping.wait(60.0):
            ended.set()

    poller = poller_of(source)
    poller.start(wait_s=10.0)
    source.open, source.trouble = wait, OSError("pulled out")
    assert is_waiting.wait(10.0)
    poller.stop()
    assert ended.is_set()


def test_retries_back_off(source):
    poller = poller_of(source)
    poller.start(wait_s=10.0)
    source.is_locked, source.trouble = True, OSError("gone")
    wait_until(lambda: source.opened >= 3)
    opened = source.opened
    assert not threading.Event().wait(0.3)
    assert source.opened <= opened + 1
    poller.stop()


def test_readers_in_a_hot_loop_do_not_slow_the_poller_down():
    talker = Talker()
    poller = poller_of(talker, max_age_s=60.0)
    poller.start(wait_s=10.0)
    end_s = 0.0

    def read() -> None:
        while time.monotonic() < end_s:
            poller.newest()

    def polls(readers: int) -> int:
        nonlocal end_s
        before, end_s = talker.count, time.monotonic() + 0.5
        threads = [threading.Thread(target=read) for _ in range(readers)]
        for thread in threads:
            thread.start()
        time.sleep(max(0.0, end_s - time.monotonic()))
        polled = talker.count - before
        for thread in threads:
            thread.join()
        return polled

    # With readers that spin it is a twentieth each time; other work on the machine may take from a single round.
    rounds = ((polls(readers=0), polls(readers=4)) for _ in range(6))
    is_kept = any(watched > alone / 3 for alone, watched in rounds)
    poller.stop()
    assert is_kept
