"""Laws of a measurement that returns late: it says nothing of an arm that was connected or recovered meanwhile."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

import robotkit as rk
from robotkit.devices import Measurement, measuring_arm
from tests.support.recording_arm import Broken, InThread, RecordingArm
from tests.support.watched_arm import watched

BEGINNINGS = {
    "recovery": lambda arm: (arm.stop(), arm.recover()),
    "connection": lambda arm: (arm.disconnect(), arm.connect()),
}


class Late:
    """A reading of `arm` whose measurement is under way until `end`."""

    def __init__(self, arm: RecordingArm, read) -> None:
        self.inside, self.go_on, self.trouble, self.arm = threading.Event(), threading.Event(), None, arm
        arm.on["measure"] = self._wait
        self.reader = InThread(read)
        assert self.inside.wait(20.0)
        arm.on.pop("measure")

    def _wait(self) -> None:
        self.inside.set()
        assert self.go_on.wait(20.0)
        if self.trouble is not None:
            raise self.trouble

    def end(self, trouble: BaseException | None = None) -> BaseException | None:
        self.trouble = trouble
        self.go_on.set()
        return self.reader.join()


@pytest.mark.parametrize("error", [rk.ConnectionFailed("no packet"), OSError("closed"), Broken("raw")])
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_b6_a_measurement_that_fails_late_is_no_fault_of_what_began_meanwhile(beginning, error):
    arm, states = RecordingArm(), []
    arm.connect()
    arm.get_state()
    late = Late(arm, lambda: states.append(arm.get_state()))
    BEGINNINGS[beginning](arm)
    assert late.end(error) is None
    assert states[0].mode == "holding", "measured again"
    assert states[0].target_epoch == arm.machine.epoch
    assert (arm.machine.mode, arm.machine.fault) == ("holding", None)


@pytest.mark.parametrize("meanwhile", ["stop", "hold", "nothing"])
def test_b6_a_measurement_that_fails_is_a_fault_whatever_else_came_meanwhile(meanwhile):
    arm = RecordingArm()
    arm.connect()
    arm.get_state()
    late = Late(arm, arm.get_state)
    getattr(arm, meanwhile, lambda: None)()
    assert late.end(rk.ConnectionFailed("no packet")) is None
    assert arm.machine.mode == "fault"


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_measurement_of_the_last_connection_is_not_the_newest_one(beginning):
    arm, states = RecordingArm(), []
    arm.connect()
    late = Late(arm, lambda: states.append(arm.get_state()))
    BEGINNINGS[beginning](arm)
    assert late.end() is None
    assert states[0].target_epoch == arm.newest_state().target_epoch == arm.machine.epoch


def test_an_older_measurement_that_returns_late_does_not_replace_a_newer_one(monkeypatch):
    arm = RecordingArm()
    arm.connect()
    late = Late(arm, arm.get_state)
    measure = RecordingArm._measure
    arm.clock.advance(1.0)
    assert arm.get_state().stamp_s == 1.0
    monkeypatch.setattr(RecordingArm, "_measure", lambda self: old(measure(self)))
    assert late.end() is None
    assert arm.newest_state().stamp_s == 1.0
    arm._keep(old(measure(arm)), 0, next(arm._numbers))
    assert arm.newest_state().stamp_s == 0.5, "one that began later counts, also on a clock that went back"


def old(measured: Measurement) -> Measurement:
    return measured._replace(stamp_s=0.5)


def test_a_measurement_that_ends_late_does_not_hide_that_a_later_one_hangs():
    arm, body, clock = watched(state_max_age_s=0.1)
    first = Late(body, arm._measure_once)
    arm.disconnect()
    arm.connect()
    second = Late(body, arm._measure_once)
    assert first.end() is None
    clock.advance(0.2)
    arm._watchdog.look()
    arm._watchdog.look()
    assert body.machine.stop.author == "watchdog"
    assert second.end() is None


class Patience:
    """The time of a hold that waits for a measurement; the arm's clock stands, and each look takes `look_s`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, look_s: float, fresh_after_s: float) -> None:
        self.now_s, self.looks = 0.0, 0
        self.arm, body, _ = watched()
        self.arm.get_state()

        def measure() -> Measurement:
            self.looks += 1
            self._pass(look_s)
            stamp_s = self.arm._clock.now_s() - (0.0 if self.now_s >= fresh_after_s else 1.0)
            return RecordingArm._measure(body)._replace(stamp_s=stamp_s)

        monkeypatch.setattr(body, "_measure", measure)
        monkeypatch.setattr(measuring_arm, "time", SimpleNamespace(monotonic=lambda: self.now_s, sleep=self._pass))

    def _pass(self, span_s: float) -> None:
        self.now_s += span_s


def test_a_hold_waits_a_tenth_of_a_second_for_a_measurement_that_is_fresh(monkeypatch):
    patience = Patience(monkeypatch, look_s=0.0, fresh_after_s=0.094)
    patience.arm.hold()
    assert 0.094 <= patience.now_s <= 0.1
    patience = Patience(monkeypatch, look_s=0.0, fresh_after_s=1.0)
    with pytest.raises(rk.StaleState):
        patience.arm.hold()
    assert 0.1 <= patience.now_s <= 0.106


def test_and_for_three_looks_where_each_of_them_takes_longer(monkeypatch):
    patience = Patience(monkeypatch, look_s=0.5, fresh_after_s=100.0)
    with pytest.raises(rk.StaleState):
        patience.arm.hold()
    assert patience.looks == 3
