"""A stop that goes ahead of a device call that hangs counts after it, however that call ends."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import robotkit as rk
from robotkit.devices import AdaptedRobot, CellContext
from robotkit.drivers.fake import ManualClock
from tests.faults.arms import NaiveRobot
from tests.support.safe_arm import Recorder
from tests.support.waiting import wait_until

_STUCK_S = 20.0


class Hanging(Recorder):
    """A fake arm whose next device call named `hangs_in` waits, acts, and fails if it is told to."""

    hangs_in = ""
    fails = False

    def __init__(self, *args):
        super().__init__(*args)
        self.is_inside, self.may_go_on = threading.Event(), threading.Event()

    def _hang(self, name):
        if name == self.hangs_in:
            self.is_inside.set()
            assert self.may_go_on.wait(_STUCK_S)

    def _fail(self, name):
        if name == self.hangs_in and self.fails:
            raise rk.DeviceFault("the answer was lost")

    def _follow(self, command):
        self._hang("send")
        accepted = super()._follow(command)
        self._fail("send")
        return accepted

    def _hold(self):
        self._hang("hold")
        super()._hold()
        self._fail("hold")

    def _start(self):
        self._hang("recover")
        super()._start()
        self._fail("recover")

    def _set_compliance(self, params):
        self._hang("compliance")
        super()._set_compliance(params)
        self._fail("compliance")


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("name", ["send", "hold", "recover", "compliance"])
def test_a_stop_that_overtook_a_hanging_call_halts_the_arm_again(name, fails):
    arm = Hanging(Hanging.Config(), CellContext(clock=ManualClock()))
    arm.connect()
    home = arm.spec.reset_joint_positions_rad
    calls = {
        "send": lambda: arm.send(rk.JointCommand(joint_positions_rad=home + 0.05)),
        "hold": arm.hold,
        "recover": arm.recover,
        "compliance": lambda: arm.set_compliance(rk.ComplianceParams()),
    }
    if name == "recover":
        arm.stop_for("the first", "somebody else")
    arm.hangs_in, arm.fails = name, fails
    errors = []

    def call():
        try:
            calls[name]()
        except rk.RobotkitError as error:
            errors.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    assert arm.is_inside.wait(_STUCK_S)
    arm.stop_for("the second", "the test")
    halts = arm.halts
    arm.may_go_on.set()
    thread.join(_STUCK_S)
    assert arm.halts > halts, "the device was told last to stop"
    assert arm.get_state().mode == "stopped"
    assert bool(errors) == (fails or name == "recover")
    arm.context.clock.advance(1.0)
    np.testing.assert_allclose(arm.get_state().joint_positions_rad, home, atol=1e-9)


@pytest.mark.parametrize("name", ["send", "compliance"])
def test_a_fault_that_overtook_a_hanging_call_halts_the_arm_again(name):
    arm = Hanging(Hanging.Config(), CellContext(clock=ManualClock()))
    arm.connect()
    home = arm.spec.reset_joint_positions_rad
    arm.hangs_in = name

    def call():
        if name == "send":
            arm.send(rk.JointCommand(joint_positions_rad=home + 0.05))
        else:
            arm.set_compliance(rk.ComplianceParams())

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    assert arm.is_inside.wait(_STUCK_S)
    arm._latch(arm.machine.fault_of(("torn",)))
    halts = arm.halts
    arm.may_go_on.set()
    thread.join(_STUCK_S)
    assert arm.halts > halts
    arm.context.clock.advance(1.0)
    state = arm.get_state()
    assert state.mode == "fault"
    np.testing.assert_allclose(state.joint_positions_rad, home, atol=1e-9)


def test_a_stop_that_the_device_refuses_once_is_repeated_until_its_joint_motion_has_ended():
    class Deaf(NaiveRobot):
        refusals = 1

        def stop(self):
            if self.refusals:
                self.refusals -= 1
                raise rk.DeviceFault("busy")
            super().stop()

    inner = Deaf()
    may_go_on = threading.Event()
    inner.point = lambda: may_go_on.wait(_STUCK_S)
    arm = AdaptedRobot(inner)
    arm.connect()
    errors = []

    def move():
        try:
            arm.move_to_joint_positions(arm.spec.reset_joint_positions_rad + 0.1)
        except rk.RobotkitError as error:
            errors.append(error)

    thread = threading.Thread(target=move, daemon=True)
    thread.start()
    wait_until(lambda: arm.machine.mode == "travelling" and arm.machine.calls.oldest())
    with pytest.raises(rk.DeviceFault, match="busy"):
        arm.stop()
    wait_until(lambda: "stop" in inner.moves)
    may_go_on.set()
    thread.join(_STUCK_S)
    assert isinstance(errors[0], rk.MotionFailed)
    assert "travel" not in inner.moves


def test_a_recovery_of_an_arm_in_a_joint_motion_is_refused_and_stops_nothing():
    inner = NaiveRobot()
    is_moving, may_go_on = threading.Event(), threading.Event()

    def point():
        is_moving.set()
        may_go_on.wait(_STUCK_S)

    inner.point = point
    arm = AdaptedRobot(inner)
    arm.connect()

    def move():
        arm.move_to_joint_positions(arm.spec.reset_joint_positions_rad + 0.1)

    thread = threading.Thread(target=move, daemon=True)
    thread.start()
    assert is_moving.wait(_STUCK_S)
    with pytest.raises(rk.CommandRejected):
        arm.recover()
    may_go_on.set()
    thread.join(_STUCK_S)
    assert arm.get_state().mode == "holding"
