"""Laws of what observers hear: every stop, whoever it comes from, and nothing while the arm's lock is held."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import robotkit as rk
from robotkit.safety import SafeRobot, make_safe
from tests.support.recording_arm import Broken, InThread, PlainArm, fail_with
from tests.support.safe_arm import FreeClock
from tests.support.watched_arm import pose_command, watch_once, watched


def safe_plain_arm() -> tuple[SafeRobot, PlainArm]:
    inner, clock = PlainArm(), FreeClock()
    arm = make_safe(inner, rk.SafetyLimits(watchdog_s=0.2), clock)
    arm._watch = None
    arm.connect()
    return arm, inner


def joints_of(arm: SafeRobot) -> np.ndarray:
    return arm.spec.reset_joint_positions_rad


CAUSES_OF_A_FAULT = {
    "joint motion": lambda arm: arm.move_to_joint_positions(joints_of(arm)),
    "send": lambda arm: arm.send(pose_command()),
    "check": lambda arm: arm.check(pose_command()),
    "get_state": lambda arm: arm.get_state(),
    "the watch": watch_once,
}


@pytest.mark.parametrize("call", CAUSES_OF_A_FAULT.values(), ids=CAUSES_OF_A_FAULT)
def test_b6_no_stop_waits_for_an_observer_that_takes_its_time(call):
    arm, body, _ = watched(max_translation_step_m=0.1)
    is_free, heard = [], []

    def observe(event) -> None:
        heard.append(event.kind)
        InThread(lambda: is_free.append(body.machine.lock.acquire(blocking=False))).join()

    arm.subscribe(observe)
    body.get_state()
    body.on["measure"] = fail_with(rk.StaleState("no packets"))
    InThread(lambda: call(arm)).join()
    assert heard == ["fault"]
    assert all(is_free)
    assert is_free


@pytest.mark.parametrize("by", ["the safety layer", "the body"])
def test_b9_the_stop_of_a_plain_arm_that_is_held_in_a_joint_motion_is_told_once_with_its_author(by):
    arm, inner = safe_plain_arm()
    heard = []
    arm.subscribe(heard.append)
    inside, go_on = threading.Event(), threading.Event()
    inner.on["move"] = lambda: (inside.set(), go_on.wait(20.0))
    inner.on["stop"] = go_on.set
    mover = InThread(lambda: arm.inner.move_to_joint_positions(inner.joints_rad))
    assert inside.wait(20.0)
    (arm if by == "the safety layer" else arm.inner).hold()
    assert isinstance(mover.join(), rk.MotionFailed)
    watch_once(arm)
    (event,) = heard
    assert (event.kind, event.author) == ("stop", "hold of a plain arm")
    assert event.message == arm.machine.stop.cause


def test_b9_a_stop_of_the_body_itself_is_told():
    arm, body, clock = watched()
    heard = []
    arm.subscribe(heard.append)
    clock.advance(1.0)
    body.stop_for("the driver does not know", "driver")
    watch_once(arm)
    assert [(event.kind, event.message, event.author, event.stamp_s) for event in heard] == [
        ("stop", "the driver does not know", "driver", 1.0)
    ]


def test_every_stop_is_told_and_with_words_that_can_be_written():
    arm, _, _ = watched()
    heard = []
    arm.subscribe(heard.append)
    arm.stop()
    arm.stop_for(None, "\ud800")
    assert [(event.message, event.author) for event in heard] == [
        ("stop() was called", "this process"), ("None", "?"),
    ]  # fmt: skip


def test_an_observer_of_stops_that_fails_keeps_no_stop_from_the_arm():
    arm, body, _ = watched()
    body.stop_observers.insert(0, lambda _: fail_with(ValueError("no"))())
    heard = []
    arm.subscribe(heard.append)
    arm.stop()
    assert body.calls == ["halt"]
    assert len(heard) == 1


def test_what_was_noted_is_told_in_its_order_also_what_an_observer_causes():
    arm, body, _ = watched()
    heard = []

    def observe(event) -> None:
        heard.append(event.message)
        if event.message == "first":
            arm.stop_for("of the observer", "observer")

    arm.subscribe(observe)
    body.stop_for("first", "a")
    body.stop_for("second", "b")
    arm.get_state()
    assert heard[0] == "first"
    assert sorted(heard) == ["first", "of the observer", "second"]


CALLS = {
    "connect": (lambda arm: (arm.disconnect(), arm.connect()), "open"),
    "disconnect": (lambda arm: arm.disconnect(), "close"),
    "send": (lambda arm: arm.send(pose_command()), "follow"),
    "joint motion": (lambda arm: arm.move_to_joint_positions(joints_of(arm)), "travel"),
    "compliance": (lambda arm: arm.set_compliance(rk.ComplianceParams()), "compliance"),
    "hold": (lambda arm: arm.hold(), "hold"),
    "recover": (lambda arm: (arm.stop(), arm.recover()), "clear"),
    "reset of the world": (lambda arm: arm.forget_target(), "hold"),
}


@pytest.mark.parametrize("is_error", [False, True])
@pytest.mark.parametrize(("call", "within"), CALLS.values(), ids=CALLS)
def test_what_is_noted_in_any_call_is_told_when_it_returns_or_raises(call, within, is_error):
    arm, body, _ = watched()
    heard = []
    arm.subscribe(lambda event: heard.append(event.message))

    def stop() -> None:
        body.on.clear()
        body.stop_for("of the driver", "driver")
        if is_error:
            raise Broken("a fault of the driver")

    body.on[within] = stop
    InThread(lambda: call(arm)).join()
    assert "of the driver" in heard


def test_an_observer_that_fails_is_written_down_and_keeps_no_other_from_hearing(caplog):
    arm, _, _ = watched()
    heard = []
    arm.subscribe(lambda _: fail_with(ValueError("no"))())
    arm.subscribe(lambda event: heard.append(event.kind))
    arm.stop()
    arm.recover()
    assert heard == ["stop", "recover"]
    assert [record.exc_info[0] for record in caplog.records] == [ValueError] * 2
