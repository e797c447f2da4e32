"""An arm that cannot be held at the end of a joint motion or of a reset is in a fault and halted, never "holding"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

import robotkit as rk
from robotkit.devices import AdaptedRobot, CellContext, StatefulRobotServer
from robotkit.drivers.fake import FakeRobot, ManualClock
from tests.support.franka_bench import Bench
from tests.support.recording_arm import Broken, PlainArm, RecordingArm, fail_with, joint_command
from tests.support.safe_arm import Recorder


@dataclass
class Body:
    """A connected arm whose holds call `trouble` first."""

    robot: StatefulRobotServer
    halts: Callable[[], int]
    """How often the device was told to come to rest."""
    trouble: Callable[[], None] = lambda: None


def whose_holds_fail(robot: StatefulRobotServer, halts: Callable[[], int]) -> Body:
    body, hold = Body(robot, halts), robot._hold

    def hold_or_fail() -> None:
        body.trouble()
        hold()

    robot._hold = hold_or_fail
    robot.connect()
    return body


def recording(_: pytest.MonkeyPatch) -> Body:
    arm = RecordingArm()
    return whose_holds_fail(arm, lambda: arm.calls.count("halt"))


def fake(_: pytest.MonkeyPatch) -> Body:
    arm = Recorder(FakeRobot.Config(), CellContext(clock=ManualClock()))
    return whose_holds_fail(arm, lambda: arm.halts)


def plain(_: pytest.MonkeyPatch) -> Body:
    """Its own hold fails, which may have reached the arm."""
    inner = PlainArm()
    body = Body(AdaptedRobot(inner), lambda: inner.calls.count("stop"))
    inner.on["hold"] = lambda: body.trouble()
    body.robot.connect()
    return body


def franka(monkeypatch: pytest.MonkeyPatch) -> Body:
    bench = Bench(monkeypatch)
    halts, halt = [], bench.robot._halt
    bench.robot._halt = lambda: (halts.append(1), halt())
    return whose_holds_fail(bench.robot, lambda: len(halts))


BODIES = {"recording": recording, "fake": fake, "plain": plain, "franka": franka}
ENDS = {
    "a joint motion": lambda arm: arm.move_to_joint_positions(arm.spec.reset_joint_positions_rad),
    "a reset of the world": lambda arm: arm.forget_target(),
}
ERRORS = (
    rk.DeviceFault("does not hold"),
    rk.StaleState("no packets"),
    rk.JointLimitExceeded("not there"),
    Broken("no"),
)


@pytest.fixture(params=BODIES)
def body(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Body:
    return BODIES[request.param](monkeypatch)


@pytest.mark.parametrize("error", [*ERRORS, SystemExit("over")], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_b6_an_arm_that_cannot_be_held_at_the_end_of_a_motion_is_in_a_fault_and_halted(body, end, error):
    arm = body.robot
    if "joint" in arm.spec.command_kinds:
        arm.send(joint_command(arm))
    body.trouble = fail_with(error)
    halts = body.halts()
    with pytest.raises(type(error)) as caught:
        end(arm)
    assert caught.value is error
    assert arm.machine.mode == "fault"
    is_told_of_resets = end is ENDS["a reset of the world"] and isinstance(arm, AdaptedRobot)
    assert body.halts() == halts + 1 + is_told_of_resets, "whatever may move the arm is followed by a halt"
    expected = type(error) if isinstance(error, rk.DeviceError) else rk.DeviceFault
    with pytest.raises(expected, match=str(error)):
        arm.machine.require_ready()
    body.trouble = lambda: None
    arm.recover()
    assert arm.machine.mode == "holding"


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_stop_that_comes_while_an_arm_cannot_be_held_stays_a_stop(body, end):
    arm = body.robot
    if "joint" in arm.spec.command_kinds:
        arm.send(joint_command(arm))

    def stop_and_fail() -> None:
        arm.stop()
        raise rk.DeviceFault("does not hold")

    body.trouble = stop_and_fail
    with pytest.raises(rk.DeviceFault, match="does not hold"):
        end(arm)
    assert arm.machine.mode == "stopped"
