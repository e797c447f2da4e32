"""Laws of what the safety layer lets through: steps, speed, workspace, joint range and form of a command."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.devices import CellContext
from robotkit.drivers.fake import FakeRobot, ManualClock
from robotkit.errors import InvalidMessage
from robotkit.safety import make_safe
from robotkit.spatial import integrate_delta
from robotkit.workspace import is_inside
from tests.support.recording_arm import RecordingArm
from tests.support.safe_arm import safe_arm, shifted
from tests.support.watched_arm import build


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
            arm.send(rk.PoseCommand.unchecked(kind="pose", tcp_pose_in_base=pose))
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
    limits = rk.SafetyLimits(joint_position_max_rad=[0.6, *[9.0] * 6])
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


@pytest.mark.parametrize("limits", [{"max_rotation_step_rad": 0.1}, {"max_tcp_rotation_speed_rad_s": 0.1}])
def test_m8_a_quaternion_and_its_negative_are_the_same_orientation(limits):
    arm, body, _ = safe_arm(rk.SafetyLimits(**limits, speed_window_s=0.5))
    pose = shifted(arm, 0.01, 0.02).tcp_pose_in_base.copy()
    for _ in range(3):
        pose[3:] *= -1.0
        arm.send(rk.PoseCommand(tcp_pose_in_base=pose))
    assert len(body.sent) == 3
    pose = shifted(arm, 0.0, 0.3).tcp_pose_in_base.copy()
    pose[3:] *= -1.0
    with pytest.raises(rk.StepTooLarge):
        arm.send(rk.PoseCommand(tcp_pose_in_base=pose))


@pytest.mark.parametrize("bad", [np.full(7, np.nan), np.full(7, np.inf), np.zeros(6), np.zeros((1, 7))])
def test_joint_positions_that_nobody_validated_are_checked(bad):
    arm, body, _ = safe_arm(rk.SafetyLimits())
    with pytest.raises(rk.InvalidCommand, match="7 finite joint positions"):
        arm.send(rk.JointCommand.unchecked(kind="joint", joint_positions_rad=bad))
    assert body.sent == []


@pytest.mark.parametrize("bad", ["north", [True] * 7, ["1"] * 7, [10**400] * 7, [[0.0], [0.0, 1.0]], None, [1j] * 7])
def test_a_joint_motion_to_no_numbers_is_refused(bad):
    arm, body, _ = safe_arm(rk.SafetyLimits())
    with pytest.raises(rk.InvalidCommand):
        arm.move_to_joint_positions(bad)
    assert body.machine.activity == "holding"


def test_a_joint_motion_to_whole_numbers_is_one():
    arm, _, _ = safe_arm(rk.SafetyLimits())
    arm.move_to_joint_positions([0, 0, 0, 3, 0, 0, 0])
    np.testing.assert_allclose(arm.get_state().joint_positions_rad, [0, 0, 0, 3, 0, 0, 0], atol=1e-9)


@pytest.mark.parametrize("length", [0.999999, 1.000001])
def test_a_quaternion_has_length_one(length):
    arm, _, _ = safe_arm(rk.SafetyLimits())
    pose = shifted(arm).tcp_pose_in_base.copy()
    pose[3:] *= length
    with pytest.raises(rk.InvalidCommand, match="length 1"):
        arm.send(rk.PoseCommand.unchecked(kind="pose", tcp_pose_in_base=pose))
    pose[3:] *= 1.0 + 1e-8 / length
    pose[3:] /= np.linalg.norm(pose[3:]) * (1.0 + 4e-7)
    arm.send(rk.PoseCommand.unchecked(kind="pose", tcp_pose_in_base=pose))


def test_a_joint_may_go_to_the_ends_of_its_range():
    arm, body, clock = safe_arm(rk.SafetyLimits(joint_position_min_rad=[0.45, *[-0.1] * 2, *[-9.0] * 4],
                                                joint_position_max_rad=[0.55, *[0.4] * 2, *[9.0] * 4]))  # fmt: skip
    for value in (0.45, 0.55):
        target = arm.spec.reset_joint_positions_rad.copy()
        target[0] = value
        clock.advance(5.0)
        arm.send(rk.JointCommand(joint_positions_rad=target))
    for value in (0.4499, 0.5501):
        target[0] = value
        with pytest.raises(rk.JointLimitExceeded, match=r"joint 0 .* from 0\.4500 to 0\.5500 rad"):
            arm.send(rk.JointCommand(joint_positions_rad=target))
    assert len(body.sent) == 2


@pytest.mark.parametrize(("limits", "command", "words"), [
    ({"max_translation_step_m": 0.05}, {"dx": 0.06}, r"0\.0600 m from .* at most 0\.05 m .*max_translation_step_m"),
    ({"max_rotation_step_rad": 0.05}, {"turn": 0.06}, r"0\.0600 rad from .* at most 0\.05 rad .*max_rotation_step_rad"),
    ({"max_tcp_speed_m_s": 0.2}, {"dx": 0.11}, r"0\.1100 m from .* at most 0\.1000 m .* at 0\.2 m/s"),
    ({"max_tcp_rotation_speed_rad_s": 0.2}, {"turn": 0.11}, r"0\.1100 rad .* 0\.1000 rad .* at 0\.2 rad/s"),
])  # fmt: skip
def test_a_refused_step_says_how_far_it_is_and_how_far_it_may_be(limits, command, words):
    arm, _, _ = safe_arm(rk.SafetyLimits(**limits))
    with pytest.raises(rk.StepTooLarge, match=words):
        arm.send(shifted(arm, **command))


def test_a_refused_joint_step_names_the_joint_that_is_farthest_beyond():
    arm, _, _ = safe_arm(rk.SafetyLimits(max_joint_speed_rad_s=1.0, speed_window_s=0.1, max_joint_step_rad=0.2))
    joints = arm.get_state().joint_positions_rad
    with pytest.raises(rk.StepTooLarge, match=r"joint 2 is 0\.1500 rad .* at most 0\.1000 rad .* at 1 rad/s"):
        arm.send(rk.JointCommand(joint_positions_rad=joints + np.array((0.11, 0, -0.15, 0.12, 0, 0, 0))))
    with pytest.raises(rk.StepTooLarge, match=r"is 0\.2100 rad .* at most 0\.2 rad .*max_joint_step_rad"):
        arm.send(rk.JointCommand(joint_positions_rad=joints + np.array((0.11, 0, -0.21, 0.12, 0, 0, 0))))


def test_a_distance_counts_in_all_directions():
    arm, body, _ = safe_arm(rk.SafetyLimits(max_translation_step_m=0.05))
    body.move_to_joint_positions(body.spec.reset_joint_positions_rad + np.array((-0.1, 0.2, 0.1, 0, 0, 0, 0)))
    pose = arm.get_state().tcp_pose_in_base
    for way in ((0.03, 0.03, 0.0), (0.0, -0.04, 0.04), (0.03, -0.03, -0.03)):
        length_m = np.linalg.norm(way)
        for share, is_accepted in ((0.0499 / length_m, True), (0.0501 / length_m, False)):
            target = pose.copy()
            target[:3] += share * np.array(way)
            arm.hold()
            if is_accepted:
                arm.send(rk.PoseCommand(tcp_pose_in_base=target))
            else:
                with pytest.raises(rk.StepTooLarge):
                    arm.send(rk.PoseCommand(tcp_pose_in_base=target))


@pytest.mark.parametrize("turn", [np.pi - 1e-3, np.pi])
def test_a_limit_of_half_a_turn_bounds_no_turn(turn):
    arm, body, _ = safe_arm(rk.SafetyLimits(max_rotation_step_rad=np.pi))
    arm.send(shifted(arm, 0.0, turn))
    assert len(body.sent) == 1


def test_a_step_of_exactly_the_limit_is_accepted():
    arm, _, _ = safe_arm(rk.SafetyLimits(max_joint_step_rad=0.25))
    step = np.array((0, 0, 0, 0, 0, 0.25, 0))
    arm.send(rk.JointCommand(joint_positions_rad=arm.spec.reset_joint_positions_rad + step))
    arm.hold()
    with pytest.raises(rk.StepTooLarge):
        arm.send(rk.JointCommand(joint_positions_rad=arm.get_state().joint_positions_rad + step * (1.0 + 1e-8)))


@pytest.mark.parametrize(("limit", "largest"), [
    ("link_clearance_m", 1.0),
    ("joint_path_margin_m", 0.2),
    ("max_translation_step_m", 2.0),
    ("max_rotation_step_rad", np.pi),
    ("max_joint_step_rad", 2 * np.pi),
    ("max_tcp_speed_m_s", 5.0),
    ("max_tcp_rotation_speed_rad_s", 20.0),
    ("max_joint_speed_rad_s", 50.0),
    ("max_force_n", 2000.0),
    ("max_torque_nm", 2000.0),
    ("measured_margin_m", 1.0),
    ("measured_speed_factor", 5.0),
    ("watchdog_s", 5.0),
    ("state_max_age_s", 0.5),
])  # fmt: skip
def test_b8_a_limit_that_bounds_no_arm_is_refused(limit, largest):
    """Millimetres, degrees or milliseconds: as metres, radians or seconds they switch the limit off, unseen."""
    assert getattr(rk.SafetyLimits(**{limit: largest}), limit) == largest
    with pytest.raises(InvalidMessage, match="less than or equal to"):
        rk.SafetyLimits(**{limit: largest * 1.001})


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_b8_a_box_in_millimetres_or_degrees_is_refused(axis, side):
    def ends(largest):
        low, high = np.zeros(3), np.zeros(3)
        (low if side < 0 else high)[axis] = side * largest
        return low, high

    def box(position, vector):
        (low_m, high_m), (low_rad, high_rad) = ends(position), ends(vector)
        return rk.WorkspaceBox(
            position_min_m=low_m,
            position_max_m=high_m,
            reference_quaternion_xyzw=(1, 0, 0, 0),
            rotation_vector_min_rad=low_rad,
            rotation_vector_max_rad=high_rad,
        )

    box(10.0, 2 * np.pi)
    with pytest.raises(InvalidMessage, match="in metres, at most 10 m"):
        box(10.1, 1.0)
    with pytest.raises(InvalidMessage, match="in rad, at most 2 pi"):
        box(1.0, 6.3)


@pytest.mark.parametrize(("outside_m", "is_led"), [(0.499, True), (0.501, False)])
def test_b8_targets_lead_a_tool_back_from_half_a_metre_outside_and_not_from_farther(outside_m, is_led):
    """Every target is nearer to a box that lies somewhere else."""
    arm, body, _ = safe_arm(rk.SafetyLimits())
    here = arm.get_state().tcp_pose_in_base[:3]
    box = rk.WorkspaceBox(
        position_min_m=here + np.array((outside_m, -0.1, -0.1)), position_max_m=here + np.array((1.0, 0.1, 0.1))
    )
    arm, body, _ = safe_arm(rk.SafetyLimits(workspace=box))
    if is_led:
        arm.send(shifted(arm, 0.05))
    else:
        with pytest.raises(rk.OutsideWorkspace, match=r"from at most 0\.5 m, from farther by hand"):
            arm.send(shifted(arm, 0.05))
    assert len(body.sent) == is_led
    arm.move_to_joint_positions(body.spec.reset_joint_positions_rad + np.array((outside_m + 0.1, 0, 0, 0, 0, 0, 0)))
    assert is_inside(arm.get_state().tcp_pose_in_base, box)


@pytest.mark.parametrize("seed", range(5))
def test_a_turn_counts_about_every_axis_and_from_every_orientation(seed):
    rng = np.random.default_rng(seed)
    axis, quaternion = rng.normal(size=3), rng.normal(size=4)
    axis, quaternion = axis / np.linalg.norm(axis), quaternion / np.linalg.norm(quaternion)
    arm, body = build(ManualClock(), max_rotation_step_rad=0.3)
    here = np.array((0.5, 0.0, 0.3, *quaternion))
    body._measure = lambda: RecordingArm._measure(body)._replace(tcp_pose_in_base=here)

    def turned(angle_rad: float) -> rk.PoseCommand:
        return rk.PoseCommand(tcp_pose_in_base=integrate_delta(here, np.zeros(3), angle_rad * axis))

    with pytest.raises(rk.StepTooLarge, match=r"0\.3001 rad"):
        arm.send(turned(0.3001))
    arm.send(turned(0.2999))
    assert body.calls == ["follow"]
