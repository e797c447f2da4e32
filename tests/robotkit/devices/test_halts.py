"""Laws of `Halts` by itself: what is owed, what a recovery ends, and who tells the device while another is in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from types import SimpleNamespace

import pytest

import robotkit as rk
from robotkit.devices import ArmMachine
from robotkit.devices import halts as halts_module
from robotkit.devices.halts import Halts
from robotkit.schema import StopRecord
from tests.support.recording_arm import InThread

_STUCK_S = 20.0


class Rig:
    """The halts of a connected arm, whose device refuses what it is told while `refuses`."""

    def __init__(self) -> None:
        self.machine = ArmMachine("arm", lambda: 0.0)
        self.machine.connected(None, 0)
        self.halts = Halts("arm", self.machine, self._halt)
        self.refuses, self.told = False, 0

    def _halt(self) -> None:
        self.told += 1
        if self.refuses:
            raise rk.DeviceFault("busy")

    def refuse(self) -> None:
        """Tell a halt that the device does not take."""
        self.refuses = True
        with pytest.raises(rk.DeviceFault):
            self.halts.halt()
        self.refuses = False

    def stop(self) -> None:
        self.machine.note_stop(StopRecord.unchecked(cause="c", author="a", since_s=0.0, code="robot_stopped"))

    @contextmanager
    def called(self, with_lock: bool = False) -> Iterator[None]:
        """A call that another thread has in the driver, and the machine's lock."""
        is_inside, may_return = threading.Event(), threading.Event()

        def call() -> None:
            with self.machine.lock if with_lock else nullcontext(), self.machine.calls.under_way("send"):
                is_inside.set()
                assert may_return.wait(_STUCK_S)

        caller = InThread(call)
        assert is_inside.wait(_STUCK_S)
        try:
            yield
        finally:
            may_return.set()
            assert caller.join() is None


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Nothing is repeated but by the test."""
    monkeypatch.setattr(Halts, "repeat", lambda _: None)
    return Rig()


def test_what_was_owed_before_a_recovery_is_owed_no_more_and_what_came_in_it_still_is(rig: Rig) -> None:
    rig.refuse()
    assert rig.halts.is_owed
    with rig.halts.paused():
        pass
    assert not rig.halts.is_owed
    with rig.halts.paused():
        rig.refuse()
    assert rig.halts.is_owed
    rig.halts.halt()
    assert not rig.halts.is_owed


def test_a_recovery_that_fails_ends_nothing_that_is_owed(rig: Rig) -> None:
    rig.refuse()
    with suppress(OSError), rig.halts.paused():
        raise OSError("no answer")
    assert rig.halts.is_owed
    with rig.halts.paused():
        pass
    assert not rig.halts.is_owed


def test_a_halt_is_owed_when_the_device_has_had_it_for_half_a_second(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, owed = SimpleNamespace(now_s=0.0), []
    monkeypatch.setattr(halts_module, "time", SimpleNamespace(monotonic=lambda: clock.now_s))

    def look() -> None:
        for clock.now_s in (0.0, 0.499, 0.5):
            owed.append(rig.halts.is_owed)

    monkeypatch.setattr(rig.halts, "_halt", look)
    rig.halts.halt()
    assert owed == [False, False, True]
    assert not rig.halts.is_owed


@pytest.mark.parametrize("end", [lambda halts: halts.halt(), lambda halts: halts.forget()], ids=["halt", "forget"])
def test_only_a_call_that_was_in_the_driver_at_the_last_halt_has_a_device_told_once_more_before_it_is_closed(
    rig: Rig, end
) -> None:
    with rig.called():
        rig.halts.halt()
    rig.halts.finish(None)
    assert rig.told == 2, "the call may have begun a motion after the first"
    with rig.called():
        rig.halts.halt()
    end(rig.halts)
    told = rig.told
    rig.halts.finish(None)
    assert rig.told == told


def test_who_is_in_the_driver_with_the_lock_keeps_no_halt_from_being_told_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robotkit.devices.machine.STOP_WAIT_S", 600.0)
    rig.stop()
    with rig.called(with_lock=True):
        assert InThread(rig.halts._tell_again).join() is None
    assert rig.told == 1


def test_in_a_recovery_a_halt_is_told_again_only_when_a_stop_has_overtaken_it(rig: Rig) -> None:
    rig.stop()
    rig.refuse()
    with rig.halts.paused():
        assert InThread(rig.halts._tell_again).join() is None
        assert rig.told == 1
        rig.stop()
        assert InThread(rig.halts._tell_again).join() is None
        assert rig.told == 2
    rig.refuse()
    assert InThread(rig.halts._tell_again).join() is None
    assert rig.told == 4, "after it"
    with rig.halts.paused():
        pass


def test_it_is_logged_once_that_a_halt_is_owed_and_once_that_none_is(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        rig.refuse()
        rig.refuse()
        rig.halts.halt()
        rig.halts.halt()
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"] * 2


def test_a_device_that_has_to_be_closed_is_told_every_fiftieth_of_a_second_for_one_second(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now_s=0.0)

    def pass_(span_s: float) -> float:
        clock.now_s += span_s
        return clock.now_s

    monkeypatch.setattr(halts_module, "time", SimpleNamespace(monotonic=lambda: pass_(1e-4), sleep=pass_))
    rig.refuse()
    rig.refuses = True
    rig.halts.finish(None)
    assert 40 <= rig.told <= 51
    assert 1.0 <= clock.now_s <= 1.05


def test_a_device_is_not_closed_while_a_halt_is_being_told_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halts_module, "CLOSING_S", 60.0)
    waits_s: list[float] = []

    def acquire(timeout: float) -> bool:
        waits_s.append(timeout)
        return True

    monkeypatch.setattr(rig.halts, "_repeating", SimpleNamespace(acquire=acquire, release=lambda: None))
    rig.halts.finish(None)
    (wait_s,) = waits_s
    assert 0.0 < wait_s <= 60.0
