"""Laws of a driver that hangs in a call: the arm holds or is stopped all the same, and may be disconnected."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

import robotkit as rk
from robotkit.safety import SafeRobot, make_safe
from robotkit.safety import watch as watch_module
from robotkit.safety import watchdog as watchdog_module
from robotkit.safety.watch import Watch
from tests.support.recording_arm import Broken, InThread, PlainArm, RecordingArm, fail_with
from tests.support.safe_arm import FreeClock
from tests.support.waiting import wait_until
from tests.support.watched_arm import kinds, pose_command, watch_once, watched


class Hang:
    """What a primitive does that does not come back until it is let."""

    def __init__(self) -> None:
        self.is_inside, self.may_go_on = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.is_inside.set()
        assert self.may_go_on.wait(20.0)


@pytest.fixture
def hang() -> Iterator[Hang]:
    hang = Hang()
    yield hang
    hang.may_go_on.set()


@pytest.fixture
def hasty(monkeypatch):
    """A hold is given no time at all, and a stop neither."""
    monkeypatch.setattr(watchdog_module, "_HOLD_S", 0.0)
    monkeypatch.setattr("robotkit.devices.machine.STOP_WAIT_S", 0.0)


def hanging_monitor(arm, body, hang: Hang) -> InThread:
    """The monitor's thread, in a measurement that does not return."""
    body.on["measure"] = hang
    monitor = InThread(arm._measure_once)
    assert hang.is_inside.wait(20.0)
    return monitor


def test_p3_a_measurement_that_hangs_keeps_no_watchdog_from_bringing_the_arm_to_rest(hang, hasty):
    """By a stop: where it could be held is not measured."""
    arm, body, clock = watched()
    heard = kinds(arm)
    arm.send(pose_command())
    monitor = hanging_monitor(arm, body, hang)
    clock.advance(0.19)
    arm._watchdog.look()
    assert body.calls == ["follow"]
    clock.advance(0.02)
    arm._watchdog.look()
    assert body.calls == ["follow", "halt"]
    assert heard == ["stop"]
    assert not hang.may_go_on.is_set()
    hang.may_go_on.set()
    assert monitor.join() is None
    assert body.machine.mode == "stopped"
    assert "hold" not in body.calls


def test_so_it_is_with_the_threads_of_the_watch(hang, monkeypatch):
    monkeypatch.setattr(watch_module, "_END_S", 0.0)
    body, clock = RecordingArm(), FreeClock()
    object.__setattr__(body.context, "clock", clock)
    arm = make_safe(body, rk.SafetyLimits(watchdog_s=0.2), clock)
    others = set(threading.enumerate())  # servers of other tests may live on, with monitors of their own
    arm.connect()
    arm.send(pose_command())
    body.on["measure"] = hang
    assert hang.is_inside.wait(20.0)
    clock.advance(0.3)
    wait_until(lambda: "halt" in body.calls)
    assert body.machine.stop.author == "watchdog"
    arm.disconnect()
    assert body.calls == ["open", "start", "follow", "halt", "halt", "close"]
    hang.may_go_on.set()
    wait_until(lambda: not any(thread.name == "robotkit-monitor" for thread in set(threading.enumerate()) - others))
    assert body.machine.fault is None, "the end of a connection is no fault"


def test_p3_b6_an_arm_whose_measurement_does_not_return_is_stopped(hang):
    arm, body, clock = watched(state_max_age_s=0.1, watchdog_s=None)
    clock.advance(5.0)
    arm.get_state()
    arm.send(pose_command())
    monitor = hanging_monitor(arm, body, hang)
    clock.advance(0.1)
    arm._watchdog.look()
    arm._watchdog.look()
    assert body.calls == ["follow"]
    clock.advance(0.01)
    arm._watchdog.look()
    assert body.calls == ["follow"], "a process that was suspended goes on, and has its measurement by the next round"
    arm._watchdog.look()
    assert body.calls == ["follow", "halt"]
    assert body.machine.stop.author == "watchdog"
    assert "asked for a measurement 0.110 s ago" in body.machine.stop.cause
    arm._watchdog.look()
    assert body.calls == ["follow", "halt"], "once"
    hang.may_go_on.set()
    assert monitor.join() is None


@pytest.mark.parametrize("end", ["fault", "disconnect"])
def test_an_arm_that_is_in_a_fault_or_closed_is_not_stopped_because_a_measurement_does_not_return(hang, end):
    arm, body, clock = watched(state_max_age_s=0.1, watchdog_s=None)
    monitor = hanging_monitor(arm, body, hang)
    if end == "fault":
        body._latch(body.machine.fault_of(("torn",)))
    else:
        arm.disconnect()
    clock.advance(0.2)
    for _ in range(3):
        arm._watchdog.look()
    assert body.machine.stop is None
    hang.may_go_on.set()
    assert monitor.join() is None


def test_no_thread_is_begun_while_nobody_is_silent(monkeypatch):
    arm, body, clock = watched()
    monkeypatch.setattr(watchdog_module.threading, "Thread", fail_with(AssertionError("a thread was begun")))
    arm._watchdog.look()
    arm.send(pose_command())
    clock.advance(0.19)
    arm._watchdog.look()
    assert body.calls == ["follow"]


def test_a_measurement_that_returns_late_is_not_missed(hang):
    arm, body, clock = watched(state_max_age_s=0.1, watchdog_s=None)
    monitor = hanging_monitor(arm, body, hang)
    clock.advance(0.2)
    arm._watchdog.look()
    hang.may_go_on.set()
    assert monitor.join() is None
    body.on.clear()
    arm._watchdog.look()
    watch_once(arm)
    monitor = hanging_monitor(arm, body, again := Hang())
    clock.advance(0.2)
    arm._watchdog.look()
    again.may_go_on.set()
    assert monitor.join() is None
    assert body.machine.stop is None


@pytest.mark.parametrize("primitive", ["follow", "hold"])
def test_an_arm_that_cannot_hold_because_a_call_to_it_hangs_is_stopped(hang, hasty, primitive):
    arm, body, clock = watched()
    arm.send(pose_command())
    body.on[primitive] = hang
    sender = InThread(lambda: arm.send(pose_command())) if primitive == "follow" else None
    if sender is not None:
        assert hang.is_inside.wait(20.0)
    clock.advance(0.3)
    arm._watchdog.look()
    wait_until(lambda: "halt" in body.calls)
    assert not hang.may_go_on.is_set()
    assert "did not hold when its client fell silent: its driver has been busy" in body.machine.stop.cause
    hang.may_go_on.set()
    if sender is not None:
        assert sender.join() is None
    wait_until(lambda: body.calls[-1] == "halt" and body.calls.count("halt") == 2)
    assert body.machine.mode == "stopped"


def test_a_hold_that_takes_its_time_is_no_reason_to_stop(monkeypatch):
    assert watchdog_module._HOLD_S == 0.2, "what docs/safety.md promises"
    monkeypatch.setattr(watchdog_module, "_HOLD_S", 20.0)
    arm, body, clock = watched()
    arm.send(pose_command())
    body.on["hold"] = lambda: threading.Event().wait(0.05)
    clock.advance(0.3)
    arm._watchdog.look()
    assert body.calls == ["follow", "hold"]
    assert arm.get_state().mode == "holding"


def test_a_plain_arm_whose_own_hold_hangs_is_told_to_stop(hang, hasty):
    inner, clock = PlainArm(), FreeClock()
    arm = make_safe(inner, rk.SafetyLimits(watchdog_s=0.2), clock)
    arm._watch = None
    arm.connect()
    arm.send(pose_command())
    inner.on["hold"] = hang
    clock.advance(0.3)
    arm._watchdog.look()
    assert "stop" in inner.calls
    (holder,) = (thread for thread in threading.enumerate() if thread.name == "robotkit-hold")
    assert holder.daemon, "it keeps no program from ending"
    hang.may_go_on.set()
    wait_until(lambda: inner.calls[-1] == "stop")


def test_a_command_that_comes_while_the_watchdog_waits_for_its_turn_is_a_sign_of_life():
    arm, body, clock = watched()
    arm.send(pose_command())
    clock.advance(0.3)
    waits = threading.Event()
    body._find_fault = waits.set
    with body.machine.lock:
        watch = InThread(arm._watchdog.look)
        waits.wait(0.05)  # a hold that asks before it has the lock is past its question now
        arm.send(pose_command())
    assert watch.join() is None
    assert body.calls == ["follow", "follow"]
    assert arm.get_state().mode == "tracking"


def test_an_arm_that_is_not_connected_is_neither_measured_nor_held_nor_stopped():
    arm, body, clock = watched(state_max_age_s=0.1)
    arm.send(pose_command())
    arm.disconnect()
    body.calls.clear()
    clock.advance(9.0)
    watch_once(arm)
    assert body.calls == []
    assert body.machine.stop is None


def test_a_disconnection_that_overtakes_a_measurement_is_no_fault(hang):
    arm, body, _ = watched()
    body._find_fault = lambda: (hang(), fail_with(rk.NotConnected("closed"))())
    monitor = InThread(arm._measure_once)
    assert hang.is_inside.wait(20.0)
    arm.disconnect()
    hang.may_go_on.set()
    assert monitor.join() is None
    assert body.machine.stop is None


class Mute(Exception):
    """An error that does not even say what it is."""

    def __str__(self) -> str:
        raise ValueError("no text")


ANYTHING = [Broken("a fault of the driver"), Mute(), SystemExit(3), asyncio.CancelledError(), KeyboardInterrupt()]


@pytest.mark.parametrize("error", ANYTHING, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("is_plain", [False, True], ids=["body", "plain"])
def test_p3_whatever_a_measurement_raises_the_arm_is_brought_to_rest_and_the_watch_goes_on(is_plain, error, caplog):
    arm, told = an_arm(is_plain=is_plain)
    arm.send(pose_command())
    told.on["get_state" if is_plain else "measure"] = fail_with(error)
    watch = Watch({"robotkit-monitor": arm._measure_once}, None)
    watch.start()
    wait_until(lambda: watch.rounds >= 2)
    watch.stop()
    assert told.calls[-1] in ("stop", "halt")
    assert arm.machine.mode in ("stopped", "fault")
    assert caplog.text.count("the watch over the arm failed") <= 1, "one line, not one a round"


@pytest.mark.parametrize("error", ANYTHING, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("is_plain", [False, True], ids=["body", "plain"])
def test_p3_whatever_a_hold_raises_the_arm_is_stopped(is_plain, error):
    arm, told = an_arm(is_plain=is_plain)
    arm.send(pose_command())
    told.on["hold"] = fail_with(error)
    arm._clock.advance(0.3)
    arm._watchdog.look()
    assert told.calls[-1] in ("stop", "halt")
    assert "did not hold when its client fell silent" in arm.machine.stop.cause


def test_an_arm_is_stopped_when_there_is_no_thread_left_to_hold_it(monkeypatch):
    arm, body, clock = watched()
    arm.send(pose_command())
    clock.advance(0.3)
    monkeypatch.setattr(watchdog_module.threading.Thread, "start", fail_with_self(RuntimeError("no more threads")))
    monkeypatch.setattr(watchdog_module, "_HOLD_S", 600.0)  # nobody waits for a hold that does not begin
    arm._watchdog.look()
    assert body.calls == ["follow", "halt"]
    assert "no more threads" in body.machine.stop.cause


def test_an_observer_that_takes_its_time_is_no_arm_that_does_not_hold(hang, hasty, monkeypatch):
    monkeypatch.setattr(watchdog_module, "_HOLD_S", 20.0)
    arm, body, clock = watched()
    arm.subscribe(lambda _: hang())
    arm.send(pose_command())
    clock.advance(0.3)
    watch = InThread(arm._watchdog.look)
    assert watch.join() is None
    assert body.calls == ["follow", "hold"]
    assert body.machine.stop is None


def fail_with_self(error: BaseException) -> Callable[[object], None]:
    return lambda _: fail_with(error)()


def an_arm(*, is_plain: bool) -> tuple[SafeRobot, RecordingArm | PlainArm]:
    """A watched arm whose watch goes round by hand, and what writes down what it is told."""
    if not is_plain:
        arm, body, _ = watched()
        return arm, body
    inner, clock = PlainArm(), FreeClock()
    arm = make_safe(inner, rk.SafetyLimits(watchdog_s=0.2), clock)
    arm._watch = None
    arm.connect()
    return arm, inner


def test_p3_a_measurement_that_hangs_keeps_no_disconnection_from_the_arm(hang, monkeypatch):
    monkeypatch.setattr(watch_module, "_END_S", 20.0)
    body, clock = RecordingArm(), FreeClock()
    object.__setattr__(body.context, "clock", clock)
    arm = make_safe(body, rk.SafetyLimits(watchdog_s=0.2), clock)
    arm.connect()
    body.on["measure"] = hang
    assert hang.is_inside.wait(20.0)
    leaving = InThread(arm.disconnect)
    wait_until(lambda: body.calls[-2:] == ["halt", "close"])
    assert not hang.may_go_on.is_set()
    hang.may_go_on.set()
    assert leaving.join() is None
    assert body.machine.stop is None


def test_the_work_under_way_ends_before_a_disconnection_closes_the_device():
    """A driver is not asked for a measurement while it is being closed, unless that one hangs."""
    assert watch_module.STOP_WAIT_S == 0.05, "what docs/safety.md promises"
    inside, events = threading.Event(), []

    def work() -> None:
        inside.set()
        threading.Event().wait(0.001)
        events.append("work")

    watch = Watch({"works": work}, None)
    watch.start()
    assert inside.wait(20.0)
    watch_module.STOP_WAIT_S, before = 20.0, watch_module.STOP_WAIT_S
    try:
        watch.stop(then=lambda: events.append("then"))
    finally:
        watch_module.STOP_WAIT_S = before
    assert events[-1] == "then"


@pytest.mark.parametrize("error", [rk.ConnectionFailed("closed"), OSError("bad file descriptor")])
def test_what_a_measurement_raises_because_its_device_was_closed_is_no_failure_of_the_watch(error):
    arm, body, _ = watched()
    body.on["measure"] = lambda: (arm.disconnect(), fail_with(error)())
    arm._measure_once()
    assert body.calls == ["halt", "close"]
    assert body.machine.stop is None
