"""Laws of what the contract of an arm does by itself, for an arm that brings nothing of its own."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.devices.robot import BaseRobotServer
from tests.support.recording_arm import Broken, RecordingArm, joint_command


class Bare(BaseRobotServer):
    """The contract, with nothing of its own but what has to be there."""

    is_connected = True

    def __init__(self, kinds: tuple[str, ...]) -> None:
        self.body = RecordingArm(command_kinds=kinds)
        super().__init__(self.body.config, self.body.context)
        self.spec = self.body.spec
        self.body.connect()
        self.sent: list[rk.RobotCommand] = []
        self.stops = 0
        self.goals: list[np.ndarray] = []

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def set_compliance(self, params: rk.ComplianceParams) -> None: ...
    def recover(self) -> None: ...

    def get_state(self) -> rk.RobotState:
        return self.body.get_state()

    def send(self, command: rk.RobotCommand) -> rk.RobotCommand:
        self.sent.append(command)
        return command

    def move_to_joint_positions(self, positions_rad: np.ndarray) -> None:
        self.goals.append(positions_rad)

    def stop(self) -> None:
        self.stops += 1


@pytest.mark.parametrize("kinds", [("pose",), ("joint",), ("pose", "joint")])
def test_f2_a_hold_goes_to_the_measurement_in_a_kind_that_the_arm_takes(kinds):
    arm = Bare(kinds)
    arm.hold()
    (command,) = arm.sent
    assert command.kind == kinds[0]
    state = arm.get_state()
    if kinds[0] == "pose":
        np.testing.assert_array_equal(command.tcp_pose_in_base, state.tcp_pose_in_base)
    else:
        np.testing.assert_array_equal(command.joint_positions_rad, state.joint_positions_rad)


def test_what_an_arm_does_without_a_word_of_its_own():
    arm = Bare(("joint",))
    arm.stop_for("a reason", "anna")
    assert arm.stops == 1
    arm.reset()
    np.testing.assert_array_equal(arm.goals, [arm.spec.reset_joint_positions_rad])
    arm.forget_target()
    assert arm.compliance is None
    assert arm.target_epoch == arm.body.target_epoch == arm.body.machine.epoch > 0
    arm.check(joint_command(arm))
    arm.is_connected = False
    with pytest.raises(rk.NotConnected, match="Bare is not connected"):
        arm.check(joint_command(arm))


def fail_inside(arm: RecordingArm) -> None:
    with arm as same:
        assert same is arm
        assert arm.is_connected
        raise Broken


def test_a_with_block_connects_and_disconnects_whatever_happens_inside():
    arm = RecordingArm()
    with pytest.raises(Broken):
        fail_inside(arm)
    assert not arm.is_connected
