"""Laws of what a plain arm is left with: at rest when it is disconnected, and no law told that may not be in force."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest

import robotkit as rk
from robotkit.devices import AdaptedRobot
from tests.support.recording_arm import Broken, InThread, PlainArm, fail_with, joint_command

LAW = rk.ComplianceParams(translational_stiffness_n_m=200.0)


@pytest.fixture
def arm():
    arm = AdaptedRobot(PlainArm())
    arm.connect()
    return arm


@pytest.fixture
def tracking(arm):
    arm.send(joint_command(arm))
    arm.inner.calls.clear()
    return arm


def test_a2_a_plain_arm_that_tracks_is_held_before_it_is_disconnected(tracking):
    tracking.disconnect()
    assert tracking.inner.calls == ["hold", "disconnect"]
    tracking.connect()
    assert tracking.machine.mode == "holding", "nothing was latched in it"
    tracking.disconnect()
    assert tracking.inner.calls[-2:] == ["connect", "disconnect"], "it stood"


@pytest.mark.parametrize("error", [rk.CommandRejected("not now"), OSError("the cable"), Broken("raw")])
def test_a2_a_plain_arm_that_does_not_hold_is_stopped_before_it_is_disconnected(tracking, error):
    tracking.inner.on["hold"] = fail_with(error)
    tracking.disconnect()
    assert tracking.inner.calls == ["hold", "stop", "disconnect"]


def test_a2_a_plain_arm_whose_halt_is_owed_is_told_to_stop_before_it_is_disconnected(tracking):
    tracking.inner.on["stop"] = fail_with(OSError("busy"))
    with pytest.raises(OSError, match="busy"):
        tracking.stop()
    tracking.inner.on.clear()
    with tracking._halts.paused():
        tracking.disconnect()
    assert set(tracking.inner.calls[:-1]) == {"stop"}
    assert tracking.inner.calls.count("stop") >= 2
    assert tracking.inner.calls[-1] == "disconnect"


def test_a_measurement_that_hangs_keeps_no_plain_arm_from_being_stopped_and_makes_no_target_later(
    tracking, monkeypatch
):
    monkeypatch.setattr("robotkit.devices.adapter._HOLD_S", 0.0)
    hangs, go_on = threading.Event(), threading.Event()
    tracking.inner.on["get_state"] = lambda: (hangs.set(), go_on.wait(20.0))
    others = set(threading.enumerate())
    assert InThread(tracking.disconnect).join() is None
    assert tracking.inner.calls == ["stop", "disconnect"]
    go_on.set()
    for thread in set(threading.enumerate()) - others:
        thread.join(20.0)
    assert tracking.inner.calls == ["stop", "disconnect"]


@pytest.mark.parametrize("error", [OSError("the socket"), rk.ConnectionFailed("lost"), SystemExit(1)])
def test_a_plain_arm_that_does_not_disconnect_is_told_to_stop_and_said_to_be_open(tracking, caplog, error):
    tracking.inner.on["disconnect"] = fail_with(error)
    with pytest.raises(type(error)):
        tracking.disconnect()
    assert tracking.inner.calls == ["hold", "disconnect", "stop"]
    assert "still open" in caplog.text
    tracking.inner.on.clear()
    tracking.connect()
    assert tracking.machine.mode == "holding"


def test_a_plain_arm_is_told_of_a_reset_of_its_world_also_when_it_does_not_hold(tracking):
    tracking.inner.on["hold"] = fail_with(OSError("busy"))
    with pytest.raises(OSError, match="busy"):
        tracking.forget_target()
    assert tracking.inner.calls == ["hold", "stop", "forget_target", "stop"]
    assert tracking.machine.mode == "fault"


@pytest.mark.parametrize("by", ["reconnection", "recovery", "lost answer"])
def test_a3_a_law_that_may_not_be_in_force_any_more_is_not_told(arm, by):
    arm.set_compliance(LAW)
    assert arm.compliance is LAW
    if by == "reconnection":
        arm.disconnect()
        arm.connect()
    elif by == "recovery":
        arm.stop()
        arm.recover()
    else:
        arm.inner.on["set_compliance"] = fail_with(rk.RemoteTimeout("no answer"))
        with suppress(rk.RemoteTimeout):
            arm.set_compliance(rk.ComplianceParams())
    assert arm.compliance is None


@pytest.mark.parametrize("error", [rk.Unsupported("has none"), rk.InvalidCommand("too stiff")])
def test_a3_a_law_that_was_refused_leaves_the_one_before_in_force(arm, error):
    arm.set_compliance(LAW)
    arm.inner.on["set_compliance"] = fail_with(error)
    with pytest.raises(type(error)):
        arm.set_compliance(rk.ComplianceParams())
    assert arm.compliance is LAW


def test_a3_the_law_that_the_arm_tells_is_the_one_in_force(arm, monkeypatch):
    """Its controller begins with its own law when it is connected, whatever was set before."""
    law = [rk.ComplianceParams()]
    monkeypatch.setattr(PlainArm, "compliance", property(lambda self: law[-1]))
    monkeypatch.setattr(PlainArm, "set_compliance", lambda self, params: law.append(params))
    arm.set_compliance(LAW)
    assert arm.compliance is LAW
    arm.disconnect()
    law.append(law[0])
    arm.connect()
    assert arm.compliance is law[0]
