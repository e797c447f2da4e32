"""A message that a script builds wrongly says the field, what it holds and what was given; and so does a command."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.schema import Frame

POSE = "x, y, z in m, then a unit quaternion x, y, z, w"
JOINTS = "one for each joint, from base to tip"


@pytest.mark.parametrize(
    ("build", "answer"),
    [
        (
            lambda: rk.PoseCommand(tcp_pose_in_base=[1, 2, 3]),
            f"PoseCommand: tcp_pose_in_base: expected numbers of shape (7) ({POSE}), got shape (3,)",
        ),
        (lambda: rk.PoseCommand(tcp_pose_in_base=np.eye(4)), f"({POSE}), got shape (4, 4)"),
        (lambda: rk.PoseCommand(tcp_pose_in_base="here"), f"({POSE}), got 'here'"),
        (lambda: rk.PoseCommand(tcp_pose_in_base=[0, 0, 0, 0, 0, 0, 3]), "must have length 1, got length 3"),
        (lambda: rk.PoseCommand(), "PoseCommand: tcp_pose_in_base: is required"),
        (
            lambda: rk.PoseCommand([0, 0, 0, 0, 0, 0, 1]),  # type: ignore[call-arg, misc]
            "PoseCommand takes its fields by name: PoseCommand(kind=…, tcp_pose_in_base=…)",
        ),
        (lambda: rk.JointCommand(joint_positions_rad=[[0.0] * 7]), f"({JOINTS}), got [[0.0, 0.0,"),
        (lambda: rk.JointCommand(joints_rad=[0.0] * 7), "joints_rad: there is no such key. Did you mean"),
        (
            lambda: rk.ComplianceParams(translational_clip_max_m=0.01),
            "translational_clip_max_m: expected numbers of shape (3) (x, y, z), got 0.01",
        ),
        (lambda: rk.ComplianceParams(translational_stiffness_n_m=9000.0), "less than or equal to 5000 (got 9000.0)"),
        (lambda: rk.GripperCommand(position=2.0), "GripperCommand: position: Input should be less than or equal to 1"),
        (
            lambda: Frame(stamp_s=0.0, rgb=np.zeros((3, 4, 5), np.uint8)),
            "Frame: rgb: expected an array of uint8, shape (height, width, 3), got uint8 of shape (3, 4, 5)",
        ),
        (lambda: Frame(stamp_s=0.0, rgb=np.zeros((4, 5, 3))), "shape (height, width, 3), got float64 of shape"),
        (
            lambda: Frame(stamp_s=0.0, rgb=np.zeros((4, 5, 3), np.uint8), depth_m=[1.0]),
            "depth_m: expected an array of float32, shape (height, width), got [1.0]",
        ),
        (lambda: rk.PoseCommand(tcp_pose_in_base=[0, 0, 0, 0, 0, 0, 1]).model_copy(update={"speed": 1}), "speed"),
    ],
)
def test_a_message_that_is_built_wrongly_says_what_it_holds(build, answer):
    with pytest.raises(rk.InvalidMessage) as refused:
        build()
    assert answer in refused.value.message
    assert "pydantic" not in str(refused.value)
    assert isinstance(refused.value, ValueError)
    assert not isinstance(refused.value, rk.CommandRejected), "a driver raises it too, when it has told its device"


def test_an_image_is_not_copied():
    rgb = np.zeros((4, 5, 3), np.uint8)
    assert Frame(stamp_s=0.0, rgb=rgb).rgb is rgb


@pytest.mark.parametrize("wrong", [np.zeros(7), [0.0] * 7, "home"])
def test_what_is_no_command_is_refused_with_the_messages_that_are(wrong):
    with rk.make_workcell("fake") as cell:
        for tell in (cell.robot.send, cell.robot.check, lambda command: cell.step(command, period_s=0.1)):
            with pytest.raises(rk.InvalidCommand, match=r"PoseCommand\(tcp_pose_in_base=…\) or a JointCommand"):
                tell(wrong)


@pytest.mark.parametrize(
    ("tell", "answer"),
    [
        (lambda cell: cell.step(gripper=0.5), r"a GripperCommand\(position=…\), got 0\.5"),
        (lambda cell: cell.gripper.move("open"), r"'open' is not in \[0, 1\]"),
        (lambda cell: cell.robot.set_compliance({"rotational_ki": 1.0}), r"ComplianceParams\(.*got \{'rotational_ki'"),
    ],
)
def test_so_it_is_of_a_gripper_and_of_compliance(tell, answer):
    with rk.make_workcell("fake") as cell, pytest.raises(rk.InvalidCommand, match=answer):
        tell(cell)
