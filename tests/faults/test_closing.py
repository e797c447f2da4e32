"""Laws of a disconnection: no device is closed under a motion, or a halt that it has not taken, but after a bound."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

import robotkit as rk
from robotkit.devices import AdaptedRobot, StatefulRobotServer, halts
from tests.support.recording_arm import Broken, InThread, PlainArm, RecordingArm, fail_with, joint_command
from tests.support.waiting import wait_until


class InMotion:
    """A plain arm whose joint motion returns when it is let, whatever it is told."""

    def __init__(self) -> None:
        self.inner = PlainArm()
        self.arm = AdaptedRobot(self.inner)
        self.moves, self.goes_on = threading.Event(), threading.Event()
        self.inner.on["move"] = self._move
        self.arm.connect()
        self.motion = InThread(lambda: self.arm.move_to_joint_positions(self.arm.spec.reset_joint_positions_rad))
        assert self.moves.wait(20.0)

    def _move(self) -> None:
        self.moves.set()
        assert self.goes_on.wait(60.0)


def test_a2_a_motion_that_is_in_its_driver_is_told_to_stop_and_waited_for_before_the_device_is_closed(caplog):
    rig = InMotion()
    closing = InThread(rig.arm.disconnect)
    wait_until(lambda: rig.inner.calls.count("stop") >= 4)
    assert "disconnect" not in rig.inner.calls
    rig.goes_on.set()
    assert closing.join() is None
    assert isinstance(rig.motion.join(), rk.MotionFailed)
    assert rig.inner.calls[-1] == "disconnect"
    assert rig.inner.calls.count("disconnect") == 1
    assert "MAY STILL MOVE" not in caplog.text


def test_a2_where_a_motion_does_not_return_the_device_is_closed_after_a_bound_and_said_to_move_perhaps(
    caplog, monkeypatch
):
    assert halts.CLOSING_S == 1.0, "as docs/safety.md says"
    monkeypatch.setattr(halts, "CLOSING_S", 0.0)
    monkeypatch.setattr("robotkit.devices.stateful_robot._RETURN_S", 0.0)
    rig = InMotion()
    rig.arm.disconnect()
    assert rig.inner.calls[-1] == "disconnect"
    assert "returned from move_to_joint_positions()" in caplog.text
    assert "MAY STILL MOVE" in caplog.text
    with pytest.raises(rk.DeviceFault, match="has not returned"):
        rig.arm.connect()
    rig.goes_on.set()
    rig.motion.join()
    rig.arm.connect()
    assert rig.arm.machine.mode == "holding"


def test_a_halt_that_hangs_in_its_driver_keeps_no_device_open_under_a_motion(caplog, monkeypatch):
    monkeypatch.setattr(halts, "CLOSING_S", 0.0)
    rig, hangs = InMotion(), threading.Event()
    told = iter([lambda: None])  # the first halt returns, the repeated one does not
    rig.inner.on["stop"] = lambda: next(told, lambda: hangs.wait(60.0))()
    assert InThread(rig.arm.disconnect).join() is None
    assert rig.inner.calls[-1] == "disconnect"
    hangs.set()
    rig.goes_on.set()
    rig.motion.join()


def recording() -> tuple[StatefulRobotServer, RecordingArm, str, str]:
    arm = RecordingArm()
    return arm, arm, "halt", "close"


def plain() -> tuple[StatefulRobotServer, PlainArm, str, str]:
    inner = PlainArm()
    inner.on["hold"] = fail_with(Broken("no"))
    return AdaptedRobot(inner), inner, "stop", "disconnect"


@pytest.mark.parametrize("refusals", [1, 2, 5])
@pytest.mark.parametrize("make", [recording, plain], ids=["recording", "plain"])
@pytest.mark.parametrize("error", [rk.DeviceFault("busy"), rk.ConnectionFailed("lost")])
def test_a2_a_halt_that_is_owed_is_repeated_before_the_device_is_closed(make, refusals, error):
    arm, device, halt, close = make()
    arm.connect()
    arm.send(joint_command(arm))
    answers = iter([fail_with(error)] * refusals)
    device.on[halt] = lambda: next(answers, lambda: None)()
    device.calls.clear()
    arm.disconnect()
    assert [call for call in device.calls if call != "hold"] == [halt] * (refusals + 1) + [close]


def test_where_a_halt_is_not_taken_the_device_is_closed_after_a_bound_and_said_to_move_perhaps(caplog, monkeypatch):
    monkeypatch.setattr(halts, "CLOSING_S", 0.0)
    arm = RecordingArm()
    arm.connect()
    arm.on["halt"] = fail_with(rk.DeviceFault("never"))
    arm.disconnect()
    assert arm.calls[-1] == "close"
    assert "taken the halt" in caplog.text
    assert "MAY STILL MOVE" in caplog.text


@pytest.mark.parametrize("way", [lambda arm: arm.stop(), lambda arm: None])
def test_an_arm_that_owes_nothing_is_closed_at_once(way: Callable[[StatefulRobotServer], None]):
    arm = RecordingArm()
    arm.connect()
    arm._halts._await = lambda *_: fail_with(AssertionError("it waited"))()
    way(arm)
    arm.disconnect()
    assert arm.calls[-1] == "close"
