"""Laws of the order of things while an arm is connected and disconnected, over a body without laws of its own."""

from __future__ import annotations

import threading

import pytest

import robotkit as rk
from tests.support.recording_arm import ERRORS, InThread, RecordingArm, fail_with, joint_command
from tests.support.waiting import wait_until


@pytest.mark.parametrize("primitive", ["open", "start"])
def test_c_a_stop_while_the_arm_is_connected_is_not_lost(hasty, primitive):
    arm = RecordingArm()
    inside, go_on = threading.Event(), threading.Event()
    arm.on[primitive] = lambda: (inside.set(), go_on.wait(20.0))
    caller = InThread(arm.connect)
    assert inside.wait(20.0)
    arm.stop()
    go_on.set()
    assert caller.join() is None
    assert arm.get_state().mode == "stopped"
    assert arm.calls == (["open"] if primitive == "open" else ["open", "start", "halt", "halt"])


@pytest.mark.parametrize("error", ERRORS, ids=["typed", "raw"])
def test_an_arm_that_cannot_start_is_closed_again(error):
    arm = RecordingArm()
    arm.on["start"] = fail_with(error)
    with pytest.raises(type(error)):
        arm.connect()
    assert not arm.is_connected
    assert arm.calls[-2:] == ["halt", "close"]
    arm.on.clear()
    arm.connect()
    assert arm.get_state().mode == "holding"


def test_nothing_is_sent_before_the_control_of_a_new_connection_has_started():
    arm, senders = RecordingArm(), []

    def send_beside() -> None:
        sent = threading.Event()
        senders.append(InThread(lambda: (arm.send(joint_command(arm)), sent.set())))
        sent.wait(0.1)
        arm.calls.append("started")

    arm.on["start"] = send_beside
    arm.connect()
    assert senders[0].join() is None
    assert arm.calls == ["open", "start", "started", "follow"]


def test_a_disconnection_while_the_arm_is_connected_wins_and_waits_for_no_device_that_does_not_answer():
    arm = RecordingArm()
    arm.on["open"] = lambda: InThread(arm.disconnect).join()
    with pytest.raises(rk.NotConnected, match="while arm 'fake' was being connected"):
        arm.connect()
    assert not arm.is_connected
    assert arm.calls == ["open", "close"], "control has not begun"
    arm.on.clear()
    arm.connect()
    assert arm.get_state().mode == "holding"


def test_an_arm_that_is_connected_again_before_it_was_closed_is_closed_first(arm):
    """The disconnection has halted the arm and waits for its turn to close it; the connection is faster."""
    beside = []
    arm.on["halt"] = lambda: (beside.append(InThread(lambda: waiting_connection(arm))), wait_until(has_turn.is_set))
    has_turn, halted = threading.Event(), threading.Event()

    def waiting_connection(arm) -> None:
        with arm._opening:
            has_turn.set()
            assert halted.wait(20.0)
            arm.connect()

    disconnected = arm.machine.disconnected
    arm.machine.disconnected = lambda *why: (disconnected(*why), halted.set())
    arm.disconnect()
    assert beside[0].join() is None
    assert arm.calls == ["halt", "close", "open", "start"]
    assert arm.get_state().mode == "holding"


def test_an_arm_that_does_not_open_is_not_connected():
    arm = RecordingArm()
    arm.on["open"] = fail_with(rk.ConnectionFailed("nobody there"))
    with pytest.raises(rk.ConnectionFailed):
        arm.connect()
    assert not arm.is_connected
    assert arm.calls == ["open"]
    arm.stop()
    assert arm.calls == ["open"], "there is nothing to halt"


@pytest.mark.parametrize("error", [rk.DeviceFault("gone"), rk.ConnectionFailed("gone"), rk.CommandRejected("no")])
def test_an_arm_that_does_not_halt_is_disconnected_all_the_same(arm, error, monkeypatch):
    monkeypatch.setattr("robotkit.devices.halts.CLOSING_S", 0.0)
    arm.on["halt"] = fail_with(error)
    arm.disconnect()
    assert arm.calls == ["halt", "close"]
    assert not arm.is_connected
    arm.disconnect()
    assert arm.calls == ["halt", "close"], "twice changes nothing"


def test_a_disconnection_waits_for_no_device_that_hangs(arm, hasty, monkeypatch):
    monkeypatch.setattr("robotkit.devices.halts.CLOSING_S", 0.0)
    inside, go_on = threading.Event(), threading.Event()
    came_back = []
    arm.on["follow"] = lambda: (inside.set(), came_back.append(go_on.wait(20.0)))
    sender = InThread(lambda: arm.send(joint_command(arm)))
    assert inside.wait(20.0)
    arm.disconnect()
    assert came_back == []
    assert arm.calls == ["follow", "halt", "close"]
    go_on.set()
    sender.join()
    assert not arm.is_connected
    arm.connect()
    assert arm.get_state().mode == "holding", "what was followed before the connection was closed is forgotten"
