"""Laws of what the safety layer lets through: steps, speed, workspace, joint range and form of a command."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.devices import CellContext
from robotkit.drivers.fake import FakeRobot, ManualClock
from robotkit.safety import make_safe
from robotkit.workspace import is_inside
from tests.support.safe_arm import safe_arm, shifted


@pytest.mark.parametrize(("limit", "good", "bad"), [
    ({"max_translation_step_m": 0.05}, {"dx": 0.05}, {"dx": 0.0501}),
    ({"max_rotation_step_rad": 0.2}, {"turn": 0.2}, {"turn": 0.2001}),
    ({"max_tcp_speed_m_s": 0.2}, {"dx": 0.1}, {"dx": 0.1001}),
])  # fmt: skip
def test_a_step_is_accepted_up_to_its_limit_and_refused_beyond(limit, good, bad):
    arm, body, _ = safe_arm(rk.SafetyLimits(**limit))
    with pytest.raises(rk.StepTooLarge, match="at most"):
        arm.send(shifted(arm, **bad))
    assert body.sent == []
    arm.send(shifted(arm, **good))
    assert len(body.sent) == 1


def test_speed_counts_the_time_between_targets():
    arm, _, clock = safe_arm(rk.SafetyLimits(max_tcp_speed_m_s=0.2))
    first = shifted(arm, 0.1)
    arm.send(first)
    pose = first.tcp_pose_in_base.copy()
    pose[0] += 0.02
    second = rk.PoseCommand(tcp_pose_in_base=pose)
    clock.advance(0.05)
    with pytest.raises(rk.StepTooLarge, match="m/s"):
        arm.send(second)
    clock.advance(0.0501)
    arm.send(second)


def test_an_arm_outside_the_box_may_be_asked_for_nothing_but_to_come_nearer():
    at = np.array((0.45, 0.0, 0.3))
    box = rk.WorkspaceBox(
        position_min_m=at - 0.1,
        position_max_m=at + 0.1,
        reference_quaternion_xyzw=(1.0, 0.0, 0.0, 0.0),
        rotation_vector_min_rad=(-0.2, -0.2, -0.2),
        rotation_vector_max_rad=(0.2, 0.2, 0.2),
    )
    arm, body, clock = safe_arm(rk.SafetyLimits(workspace=box))
    body.move_to_joint_positions(np.array((0.45, 0.0, 0.3, np.pi, 0.0, 0.0, 0.0)))
    with pytest.raises(rk.OutsideWorkspace, match=r"x = 0\.6"):
        arm.send(shifted(arm, 0.15))
    body.move_to_joint_positions(np.array((0.7, 0.0, 0.3, np.pi, 0.0, 0.4, 0.0)))
    assert "x = 0.7" in arm.get_state().stop.cause, "pushed out of the box: stopped"
    arm.recover()
    for farther in (
        {"dx": 0.0},
        {"dx": 0.01},
        {"turn": 0.01},
        {"dx": -0.05, "turn": 0.05},
        {"dx": 0.05, "turn": -0.05},
    ):
        with pytest.raises(rk.OutsideWorkspace):
            arm.send(shifted(arm, **farther))
    assert body.sent == []
    for _ in range(4):
        arm.send(shifted(arm, -0.05, -0.05))
        clock.advance(2.0)
    assert is_inside(arm.get_state().tcp_pose_in_base, box)


@pytest.mark.parametrize("forget", ["stop", "hold", "reset", "forget_target", "joint"])
def test_after_an_interruption_steps_count_from_the_arm(forget):
    arm, body, _ = safe_arm(rk.SafetyLimits(max_translation_step_m=0.06, max_joint_step_rad=0.5))
    start = shifted(arm)
    for step in (1, 2, 3):
        pose = start.tcp_pose_in_base.copy()
        pose[0] += 0.05 * step
        arm.send(rk.PoseCommand(tcp_pose_in_base=pose))
    with pytest.raises(rk.StepTooLarge):
        arm.send(start)
    if forget == "stop":
        arm.stop()
        arm.recover()
    elif forget == "joint":
        arm.send(rk.JointCommand(joint_positions_rad=arm.get_state().joint_positions_rad))
    else:
        getattr(arm, forget)()
    arm.send(start)
    assert body.sent[-1] is start


def test_a_command_that_nobody_validated_is_checked():
    arm, body, _ = safe_arm(rk.SafetyLimits())
    good = shifted(arm).tcp_pose_in_base
    bad = [np.full(7, np.nan), np.append(good[:6], np.inf), good[:5], np.append(good[:3], [0, 0, 0, 0.5])]
    for pose in bad:
        with pytest.raises(rk.InvalidCommand):
            arm.send(rk.PoseCommand.trusted(kind="pose", tcp_pose_in_base=pose))
    with pytest.raises(rk.InvalidCommand):
        arm.move_to_joint_positions("north")
    assert body.sent == []


def test_a_kind_that_the_arm_does_not_take_is_unsupported():
    clock = ManualClock()
    body = FakeRobot(FakeRobot.Config(), CellContext(clock=clock))
    body.spec = body.spec.model_copy(update={"command_kinds": ("pose",)})
    arm = make_safe(body, rk.SafetyLimits(), clock)
    arm.connect()
    with pytest.raises(rk.Unsupported, match="pose"):
        arm.send(rk.JointCommand(joint_positions_rad=np.zeros(7)))


def test_the_cells_joint_range_narrows_the_arms_and_never_widens_it():
    limits = rk.SafetyLimits(joint_position_max_rad=[0.6, *[100.0] * 6])
    arm, _, _ = safe_arm(limits)
    target = arm.spec.reset_joint_positions_rad.copy()
    target[0] = 0.61
    with pytest.raises(rk.JointLimitExceeded, match="joint 0"):
        arm.send(rk.JointCommand(joint_positions_rad=target))
    target[0], target[6] = 0.5, 7.0
    with pytest.raises(rk.JointLimitExceeded, match="joint 6"):
        arm.move_to_joint_positions(target)
    with pytest.raises(rk.InvalidConfiguration, match="7"):
        safe_arm(rk.SafetyLimits(joint_position_min_rad=[0.0]))
